package seal

import (
	"encoding/csv"
	"os"
	"testing"
)

// goldenSecret is the secret of testdata/sealed.csv.
var goldenSecret = []byte("golden secret, known to everybody")

// TestWhatWasEverSealedOpens checks that a session that was sealed by an older version of
// this plugin survives the update. Lines are only added to testdata/sealed.csv, never
// changed.
func TestWhatWasEverSealedOpens(t *testing.T) {
	t.Parallel()
	file, err := os.Open("testdata/sealed.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil || len(rows) == 0 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	ring := newRing(t, secretA, goldenSecret)
	for _, row := range rows {
		purpose, aad, plain, text := Purpose(row[0]), row[1], row[2], row[3]
		opened, stale, err := ring.Open(purpose, aad, text)
		if err != nil {
			t.Errorf("%s at %q: %v", purpose, aad, err)
		}
		if string(opened) != plain {
			t.Errorf("%s at %q: expected %q, seen %q", purpose, aad, plain, opened)
		}
		if !stale {
			t.Errorf("%s at %q: expected it to be stale, seen that it is not", purpose, aad)
		}
	}
}
