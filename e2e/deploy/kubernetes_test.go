package deploy

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"
)

// A manifest holds the objects in deploy/kubernetes.yaml by kind and name.
type manifest struct {
	configs      map[string]core.ConfigMap
	services     map[string]core.Service
	deployments  map[string]apps.Deployment
	statefulSets map[string]apps.StatefulSet
	budgets      map[string]policy.PodDisruptionBudget
	ingresses    map[string]networking.Ingress
	policies     map[string]networking.NetworkPolicy
}

// kubernetes parses the manifest with Kubernetes' own types, so that a misspelled field
// is an error.
func kubernetes(t *testing.T) *manifest {
	t.Helper()
	m := &manifest{
		map[string]core.ConfigMap{}, map[string]core.Service{}, map[string]apps.Deployment{}, map[string]apps.StatefulSet{},
		map[string]policy.PodDisruptionBudget{}, map[string]networking.Ingress{}, map[string]networking.NetworkPolicy{},
	}
	for document := range strings.SplitSeq(file(t, "deploy/kubernetes.yaml"), "\n---\n") {
		var kind meta.TypeMeta
		if err := yaml.Unmarshal([]byte(document), &kind); err != nil {
			t.Fatalf("%v\n%s", err, document)
		}
		var err error
		switch text := []byte(document); kind.APIVersion + " " + kind.Kind {
		case "v1 ConfigMap":
			err = read(text, m.configs, func(o *core.ConfigMap) string { return o.Name })
		case "v1 Service":
			err = read(text, m.services, func(o *core.Service) string { return o.Name })
		case "apps/v1 Deployment":
			err = read(text, m.deployments, func(o *apps.Deployment) string { return o.Name })
		case "apps/v1 StatefulSet":
			err = read(text, m.statefulSets, func(o *apps.StatefulSet) string { return o.Name })
		case "policy/v1 PodDisruptionBudget":
			err = read(text, m.budgets, func(o *policy.PodDisruptionBudget) string { return o.Name })
		case "networking.k8s.io/v1 Ingress":
			err = read(text, m.ingresses, func(o *networking.Ingress) string { return o.Name })
		case "networking.k8s.io/v1 NetworkPolicy":
			err = read(text, m.policies, func(o *networking.NetworkPolicy) string { return o.Name })
		default:
			err = fmt.Errorf("what is a %+v?", kind)
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, document)
		}
	}
	return m
}

func read[object any](text []byte, into map[string]object, name func(*object) string) error {
	var o object
	if err := yaml.UnmarshalStrict(text, &o); err != nil {
		return err
	}
	if _, twice := into[name(&o)]; twice || name(&o) == "" {
		return fmt.Errorf("it needs a name of its own, not %q", name(&o))
	}
	into[name(&o)] = o
	return nil
}

// value returns the value of a field, or zero if it is not set.
func value[number int32 | int64](field *number) (n number) {
	if field != nil {
		n = *field
	}
	return n
}

// A pod is a pod template of the manifest.
type pod struct {
	name     string
	selector *meta.LabelSelector
	template core.PodTemplateSpec
	claims   []core.PersistentVolumeClaim
}

func (m *manifest) pods() (all []pod) {
	for name, d := range m.deployments {
		all = append(all, pod{name, d.Spec.Selector, d.Spec.Template, nil})
	}
	for name, s := range m.statefulSets {
		all = append(all, pod{name, s.Spec.Selector, s.Spec.Template, s.Spec.VolumeClaimTemplates})
	}
	return all
}

// selects returns the pods that match a selector.
func (m *manifest) selects(t *testing.T, s *meta.LabelSelector) (all []pod) {
	t.Helper()
	selector, err := meta.LabelSelectorAsSelector(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range m.pods() {
		if selector.Matches(labels.Set(p.template.Labels)) {
			all = append(all, p)
		}
	}
	return all
}

// ports returns the named ports of a pod.
func (p *pod) ports() map[string]int32 {
	all := map[string]int32{}
	for _, c := range p.template.Spec.Containers {
		for _, port := range c.Ports {
			all[port.Name] = port.ContainerPort
		}
	}
	return all
}

func (m *manifest) caddy(t *testing.T) (apps.Deployment, core.Container) {
	t.Helper()
	d, there := m.deployments["caddy-oidc"]
	if !there {
		t.Fatal("expected the deployment caddy-oidc")
	}
	return d, d.Spec.Template.Spec.Containers[0]
}

// TestKubernetesSelectorsAndPortsMeanSomething checks that each reference to pods or
// ports has a target.
func TestKubernetesSelectorsAndPortsMeanSomething(t *testing.T) {
	t.Parallel()
	m := kubernetes(t)
	check := func(what string, selector *meta.LabelSelector, ports ...string) {
		t.Helper()
		pods := m.selects(t, selector)
		if len(pods) != 1 {
			t.Errorf("%s: expected that it means one kind of pod, seen %d", what, len(pods))
			return
		}
		for _, port := range ports {
			if _, there := pods[0].ports()[port]; !there {
				t.Errorf("%s: expected the port %q of %s, seen %v", what, port, pods[0].name, pods[0].ports())
			}
		}
	}
	for _, p := range m.pods() {
		check(p.name, p.selector)
	}
	for name, budget := range m.budgets {
		check("the disruption budget "+name, budget.Spec.Selector)
	}
	for name, service := range m.services {
		for _, port := range service.Spec.Ports {
			check("the service "+name, &meta.LabelSelector{MatchLabels: service.Spec.Selector}, port.TargetPort.StrVal)
		}
	}
	for name, p := range m.policies {
		for _, rule := range p.Spec.Ingress {
			for _, port := range rule.Ports {
				check("the network policy "+name, &p.Spec.PodSelector, port.Port.StrVal)
			}
		}
	}
	for name, ingress := range m.ingresses {
		for _, rule := range ingress.Spec.Rules {
			for _, path := range rule.HTTP.Paths {
				service := m.services[path.Backend.Service.Name]
				if !slices.ContainsFunc(service.Spec.Ports, func(p core.ServicePort) bool { return p.Name == path.Backend.Service.Port.Name }) {
					t.Errorf("the ingress %s: expected a port of a service, seen %+v", name, path.Backend.Service)
				}
			}
		}
	}
}

// TestKubernetesPodsHaveNoPrivileges checks every pod and every mounted volume.
func TestKubernetesPodsHaveNoPrivileges(t *testing.T) {
	t.Parallel()
	m := kubernetes(t)
	if len(m.pods()) != 2 {
		t.Errorf("expected Caddy and Redis, seen %d kinds of pods", len(m.pods()))
	}
	for _, p := range m.pods() {
		spec := p.template.Spec
		if spec.AutomountServiceAccountToken == nil || *spec.AutomountServiceAccountToken {
			t.Errorf("%s: expected no token of the API server", p.name)
		}
		if spec.SecurityContext == nil || spec.SecurityContext.RunAsNonRoot == nil || !*spec.SecurityContext.RunAsNonRoot {
			t.Errorf("%s: expected a user that is not root", p.name)
		}
		volumes := map[string]bool{}
		for _, volume := range spec.Volumes {
			volumes[volume.Name] = true
		}
		for _, claim := range p.claims {
			volumes[claim.Name] = true
		}
		for _, c := range spec.Containers {
			limits := c.SecurityContext
			if limits == nil || limits.AllowPrivilegeEscalation == nil || *limits.AllowPrivilegeEscalation {
				t.Errorf("%s: expected no privilege escalation", p.name)
			}
			if limits == nil || limits.ReadOnlyRootFilesystem == nil || !*limits.ReadOnlyRootFilesystem {
				t.Errorf("%s: expected a read-only file system", p.name)
			}
			if limits == nil || limits.Capabilities == nil || !slices.Equal(limits.Capabilities.Drop, []core.Capability{"ALL"}) {
				t.Errorf("%s: expected no capability", p.name)
			}
			for _, mount := range c.VolumeMounts {
				if !volumes[mount.Name] {
					t.Errorf("%s: expected a volume %q", p.name, mount.Name)
				}
			}
			if c.Resources.Limits.Memory().IsZero() {
				t.Errorf("%s: expected a limit of memory", p.name)
			}
		}
	}
	user := value(m.deployments["caddy-oidc"].Spec.Template.Spec.SecurityContext.RunAsUser)
	if image := match(t, "deploy/Dockerfile", `^USER (\d+):`); fmt.Sprint(user) != image {
		t.Errorf("expected the user of the image, %s, seen %d", image, user)
	}
}

// TestKubernetesAgreesWithItsCaddyfile compares ports, variables, hosts, and times.
func TestKubernetesAgreesWithItsCaddyfile(t *testing.T) {
	t.Parallel()
	m := kubernetes(t)
	deployment, container := m.caddy(t)
	caddyfile := m.configs["caddy-oidc"].Data["Caddyfile"]

	ports := map[string]bool{}
	for _, port := range container.Ports {
		ports[fmt.Sprintf(":%d {", port.ContainerPort)] = true
	}
	served := map[string]bool{}
	for _, site := range regexp.MustCompile(`(?m)^:\d+ \{$`).FindAllString(caddyfile, -1) {
		served[site] = true
	}
	if !maps.Equal(ports, served) {
		t.Errorf("Caddy serves %v, the container has the ports %v", served, ports)
	}

	given, keys := map[string]bool{}, map[string]bool{}
	for _, variable := range container.Env {
		given[variable.Name] = true
		if variable.ValueFrom == nil || variable.ValueFrom.SecretKeyRef == nil {
			t.Errorf("%s: expected a reference to a secret", variable.Name)
			continue
		}
		keys[variable.ValueFrom.SecretKeyRef.Key] = true
	}
	if used := variables(caddyfile); !maps.Equal(used, given) {
		t.Errorf("the Caddyfile reads the variables %v, the container has %v", used, given)
	}
	made := map[string]bool{}
	for _, key := range regexp.MustCompile(`--from-literal=([a-z-]+)=`).FindAllStringSubmatch(file(t, "deploy/kubernetes.yaml"), -1) {
		made[key[1]] = true
	}
	if !maps.Equal(made, keys) {
		t.Errorf("the command makes the keys %v, the container refers to %v", made, keys)
	}

	redis := m.services["caddy-oidc-redis"]
	if len(redis.Spec.Ports) != 1 || !strings.Contains(caddyfile, fmt.Sprintf("address %s:%d\n", redis.Name, redis.Spec.Ports[0].Port)) {
		t.Errorf("expected the address of the service %s in\n%s", redis.Name, caddyfile)
	}
	for _, rule := range m.ingresses["caddy-oidc"].Spec.Rules {
		if !strings.Contains(caddyfile, "base_url https://"+rule.Host+"\n") {
			t.Errorf("expected the base_url of %s in\n%s", rule.Host, caddyfile)
		}
	}

	var least time.Duration
	for _, option := range []string{"shutdown_delay", "grace_period"} {
		found := regexp.MustCompile(`\b` + option + ` (\S+)\n`).FindStringSubmatch(caddyfile)
		if found == nil {
			t.Fatalf("expected %s in\n%s", option, caddyfile)
		}
		d, err := time.ParseDuration(found[1])
		if err != nil {
			t.Fatal(err)
		}
		least += d
	}
	grace := time.Duration(value(deployment.Spec.Template.Spec.TerminationGracePeriodSeconds)) * time.Second
	if grace <= least {
		t.Errorf("expected that a pod may take longer than %v to end, seen %v", least, grace)
	}
}

// TestKubernetesKeepsServing checks that the site stays up while nodes are drained and
// versions change.
func TestKubernetesKeepsServing(t *testing.T) {
	t.Parallel()
	m := kubernetes(t)
	deployment, container := m.caddy(t)
	if replicas := value(deployment.Spec.Replicas); replicas != 3 {
		t.Errorf("expected three replicas, seen %d", replicas)
	}
	if update := deployment.Spec.Strategy.RollingUpdate; update == nil || update.MaxUnavailable.IntValue() != 0 {
		t.Errorf("expected that an update takes no instance away, seen %+v", update)
	}
	if budget := m.budgets["caddy-oidc"]; budget.Spec.MaxUnavailable.IntValue() != 1 {
		t.Errorf("expected that one instance at most is evicted, seen %+v", budget.Spec)
	}
	for name, probe := range map[string]*core.Probe{"startup": container.StartupProbe, "readiness": container.ReadinessProbe} {
		if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != "/healthz" || probe.HTTPGet.Port.StrVal != "health" {
			t.Errorf("the %s probe: expected one of /healthz, seen %+v", name, probe)
		}
	}
	if probe := container.LivenessProbe; probe == nil || probe.TCPSocket == nil {
		t.Errorf("the liveness probe: expected one that an instance that ends does not fail, seen %+v", probe)
	}
}
