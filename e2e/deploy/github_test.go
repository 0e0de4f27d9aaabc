package deploy

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"sigs.k8s.io/yaml"
)

// TestIssueFormsAskForWhatIsNeeded checks that GitHub's issue forms are well-formed, and
// that a bug report requires the check's output, the log line, and the Caddyfile.
func TestIssueFormsAskForWhatIsNeeded(t *testing.T) {
	t.Parallel()
	type field struct {
		Type, ID    string
		Attributes  map[string]any
		Validations struct{ Required bool }
	}
	type issueForm struct {
		Name, Description string
		Labels            []string
		Body              []field
	}
	for name, asked := range map[string][]string{
		"bug.yml":     {"seen", "check", "log", "caddyfile", "provider", "version"},
		"feature.yml": {"goal", "now"},
	} {
		var form issueForm
		if err := yaml.UnmarshalStrict([]byte(file(t, ".github/ISSUE_TEMPLATE/"+name)), &form); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if form.Name == "" || form.Description == "" {
			t.Errorf("%s: expected a name and a description", name)
		}
		var required []string
		for _, f := range form.Body {
			if !slices.Contains([]string{"markdown", "textarea", "input"}, f.Type) || len(f.Attributes) == 0 {
				t.Errorf("%s: what is %+v?", name, f)
			}
			if f.Validations.Required {
				required = append(required, f.ID)
			}
		}
		if !slices.Equal(required, asked) {
			t.Errorf("%s: expected that %q are required, seen %q", name, asked, required)
		}
	}
}

// TestWorkflowsRunTheChecks checks that the workflow pins actions to commits, uses the Go
// of go.mod, and has only read permission.
func TestWorkflowsRunTheChecks(t *testing.T) {
	t.Parallel()
	var workflow struct {
		Permissions map[string]string
		Jobs        map[string]struct {
			Steps []struct {
				Uses, Run string
				With      map[string]any
			}
		}
	}
	if err := yaml.Unmarshal([]byte(file(t, ".github/workflows/ci.yml")), &workflow); err != nil {
		t.Fatal(err)
	}
	if len(workflow.Permissions) != 1 || workflow.Permissions["contents"] != "read" {
		t.Errorf("expected the right to read alone, seen %v", workflow.Permissions)
	}
	var runs, versions []string
	for _, step := range workflow.Jobs["checks"].Steps {
		if step.Uses != "" && !regexp.MustCompile(`^actions/[a-z-]+@[0-9a-f]{40}$`).MatchString(step.Uses) {
			t.Errorf("expected an action at a commit, seen %s", step.Uses)
		}
		if version, is := step.With["go-version-file"].(string); is {
			versions = append(versions, version)
		}
		runs = append(runs, step.Run)
	}
	if !slices.Equal(versions, []string{"go.mod"}) {
		t.Errorf("expected the Go of go.mod, seen %q", versions)
	}
	if !slices.Contains(runs, "bash .ci/run") {
		t.Errorf("expected that all checks run, seen %q", runs)
	}
	if _, err := os.Stat(filepath.Join(repository, ".ci", "run")); err != nil {
		t.Error(err)
	}
}
