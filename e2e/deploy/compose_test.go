package deploy

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

// loadCompose loads deploy/compose.yaml with the checks that docker compose makes.
func loadCompose(t *testing.T, environment types.Mapping) (*types.Project, error) {
	t.Helper()
	folder, err := filepath.Abs(filepath.Join(repository, "deploy"))
	if err != nil {
		t.Fatal(err)
	}
	return loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir:  folder,
		ConfigFiles: []types.ConfigFile{{Filename: filepath.Join(folder, "compose.yaml")}},
		Environment: environment,
	}, func(o *loader.Options) { o.SetProjectName("caddy-oidc-rp", false) })
}

func compose(t *testing.T) *types.Project {
	t.Helper()
	project, err := loadCompose(t, types.Mapping{"OIDC_CLIENT_ID": "an id", "OIDC_CLIENT_SECRET": "a secret"})
	if err != nil {
		t.Fatal(err)
	}
	return project
}

func TestComposeNeedsTheCredentials(t *testing.T) {
	t.Parallel()
	for _, missing := range []string{"OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET"} {
		environment := types.Mapping{"OIDC_CLIENT_ID": "an id", "OIDC_CLIENT_SECRET": "a secret"}
		delete(environment, missing)
		if _, err := loadCompose(t, environment); err == nil || !strings.Contains(err.Error(), missing+" is missing") {
			t.Errorf("expected an error about the missing %s, seen %v", missing, err)
		}
	}
}

// TestComposeAgreesWithItsCaddyfileAndImage compares the variables, hosts, ports, and
// files with those of Caddy.
func TestComposeAgreesWithItsCaddyfileAndImage(t *testing.T) {
	t.Parallel()
	project, caddyfile := compose(t), file(t, "deploy/Caddyfile")
	service := project.Services["caddy"]
	given := map[string]bool{}
	for name := range service.Environment {
		given[name] = true
	}
	if used := variables(caddyfile); !maps.Equal(used, given) {
		t.Errorf("the Caddyfile reads the variables %v, compose.yaml sets %v", used, given)
	}
	for host, line := range map[string]string{"redis": "store redis redis://redis:6379/0", "app": "reverse_proxy app:3000 {"} {
		if _, there := project.Services[host]; !there {
			t.Errorf("expected a service %s", host)
		}
		if !strings.Contains(caddyfile, line) {
			t.Errorf("expected %q in the Caddyfile, seen\n%s", line, caddyfile)
		}
	}
	if command := project.Services["app"].Command; !slices.Contains(command, ":3000") {
		t.Errorf("expected an application on port 3000, seen %q", command)
	}
	var published []string
	for _, port := range service.Ports {
		name := port.Published
		if port.Protocol == "udp" {
			name += "/udp"
		}
		published = append(published, name)
	}
	if exposed := strings.Fields(match(t, "deploy/Dockerfile", `^EXPOSE (.*)$`)); !slices.Equal(exposed, published) {
		t.Errorf("expected the ports %q, as the image exposes, seen %q", exposed, published)
	}
	for _, name := range []string{"app", "redis"} {
		if ports := project.Services[name].Ports; len(ports) > 0 {
			t.Errorf("expected no port of %s, whose users come through Caddy, seen %v", name, ports)
		}
	}
	targets := map[string]string{}
	for _, volume := range service.Volumes {
		targets[volume.Target] = volume.Source
	}
	if want := filepath.Join(project.WorkingDir, "Caddyfile"); targets["/etc/caddy/Caddyfile"] != want {
		t.Errorf("expected the Caddyfile %s, seen %v", want, targets)
	}
	for _, folder := range strings.Fields(match(t, "deploy/Dockerfile", `^VOLUME (.*)$`)) {
		if targets[folder] == "" {
			t.Errorf("expected a volume at %s, seen %v", folder, targets)
		}
	}
	if seen, want := filepath.Join(service.Build.Context, service.Build.Dockerfile), filepath.Join(project.WorkingDir, "Dockerfile"); seen != want {
		t.Errorf("expected the image of %s, seen %s", want, seen)
	}
}

// TestComposeKeepsContainersSmall checks that the containers run without privileges.
func TestComposeKeepsContainersSmall(t *testing.T) {
	t.Parallel()
	project := compose(t)
	for _, name := range []string{"caddy", "app"} {
		service := project.Services[name]
		if !service.ReadOnly {
			t.Errorf("%s: expected a read-only file system", name)
		}
		if !slices.Equal(service.CapDrop, []string{"ALL"}) {
			t.Errorf("%s: expected no capability, seen that %q are dropped", name, service.CapDrop)
		}
		if !slices.Contains(service.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s: expected no new privileges, seen %q", name, service.SecurityOpt)
		}
	}
	if start := project.Services["caddy"].Sysctls["net.ipv4.ip_unprivileged_port_start"]; start != "0" {
		t.Errorf("expected that a user may listen on port 80, seen %q", start)
	}
	if !project.Networks["store"].Internal {
		t.Error("expected Redis on a network that leads nowhere else")
	}
}
