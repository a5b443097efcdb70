package dns

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/component-base/cli"
)

const (
	asked    = "K3S_DAAS_TEST_COREFILE"
	patience = 20 * time.Second
)

// The test binary is CoreDNS too, with the logging that it has in bin/kubernetes.
func TestMain(m *testing.M) {
	if corefile := os.Getenv(asked); corefile != "" {
		os.Args = []string{"coredns", "--conf", corefile}
		os.Exit(cli.Run(NewCommand()))
	}
	os.Exit(m.Run())
}

// With an apiserver that does not answer, CoreDNS has much to say from the first second on.
func TestWhoLogsStillEnds(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	kubeconfig := write("kubeconfig", `{"apiVersion": "v1", "kind": "Config", "current-context": "a",
"clusters": [{"name": "a", "cluster": {"server": "http://127.0.0.1:1"}}],
"contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}], "users": [{"name": "a", "user": {}}]}`)
	corefile := write("Corefile", fmt.Sprintf(
		".:0 {\n bind 127.0.0.1\n errors\n kubernetes cluster.local {\n kubeconfig %q\n }\n}\n", kubeconfig))

	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), asked+"="+corefile)
	said := new(strings.Builder)
	command.Stdout, command.Stderr = said, said
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	select {
	case err := <-ended:
		t.Fatalf("it ended by itself: %v: %s", err, said)
	case <-time.After(8 * time.Second): // it waits five seconds for the apiserver, and serves then
	}
	if err := command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Fatalf("it ended with %v: %s", err, said)
		}
	case <-time.After(patience):
		_ = command.Process.Kill()
		<-ended
		t.Fatalf("it does not end: %s", said)
	}
	if !strings.Contains(said.String(), "plugin/kubernetes") {
		t.Fatalf("it said nothing of the apiserver: %s", said)
	}
}
