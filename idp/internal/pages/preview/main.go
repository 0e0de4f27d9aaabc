// Preview serves the built-in pages with sample data on a loopback address, for viewing
// and for tests. / lists the pages as JSON, /pages/0 is the first one, and ?ui_locales=de
// selects a language. Preview prints its URL.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/pages"
)

func main() {
	address := flag.String("listen", "127.0.0.1:0", "the address to listen at")
	folder := flag.String("pages", "", "a folder with templates of an operator")
	flag.Parse()
	log.SetFlags(0)
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		log.Fatal(err)
	}
	origin := "http://" + listener.Addr().String()
	shown, err := pages.New(pages.Options{Issuer: origin, Name: "Example", Contact: "the service desk", Folder: *folder})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Fprintln(os.Stdout, origin)
	log.Fatal(http.Serve(listener, handler(shown))) //nolint:gosec // on loopback, for tests
}

// page is an entry in the list of pages.
type page struct {
	Name string `json:"name"`
	Path string `json:"path"`
}

func handler(shown *pages.Pages) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		var all []page
		for i, sample := range pages.Samples() {
			all = append(all, page{sample.Template(), "/pages/" + strconv.Itoa(i)})
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(all) // the client has gone
	})
	mux.HandleFunc("GET /pages/{index}", func(w http.ResponseWriter, r *http.Request) {
		all := pages.Samples()
		index, err := strconv.Atoi(r.PathValue("index"))
		if err != nil || index < 0 || index >= len(all) {
			http.NotFound(w, r)
			return
		}
		if locales := r.URL.Query().Get("ui_locales"); locales != "" {
			r.Header.Set("Accept-Language", strings.ReplaceAll(locales, " ", ","))
		}
		shown.Render(w, r, http.StatusOK, all[index])
	})
	mux.HandleFunc("GET /assets/", shown.ServeAsset)
	return mux
}
