// Package server runs the store's example server as a process of its own, for tests that see only its endpoint.
package server

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Startup is how long a server may take from exec to listening, on a busy machine.
const startup = 30 * time.Second

// Server is a running store. Its data stays when it is killed and started again.
type Server struct {
	t       testing.TB
	home    string
	urls    string
	env     []string
	command *exec.Cmd
	// Endpoint is what clients dial.
	Endpoint string
}

// Start runs a store with an empty directory until the test ends. The environment is as examples/serve.rs reads it.
func Start(t testing.TB, env ...string) *Server {
	t.Helper()
	s := &Server{t: t, home: t.TempDir(), urls: "http://127.0.0.1:0", env: env}
	s.start()
	t.Cleanup(s.Kill)
	return s
}

// StartOnSocket is Start on a unix socket, whose name a restart gets again for certain.
func StartOnSocket(t testing.TB, env ...string) *Server {
	t.Helper()
	// Not in t.TempDir(): the name of a socket has at most 107 bytes.
	dir, err := os.MkdirTemp("", "store")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &Server{t: t, home: t.TempDir(), urls: "unix://" + filepath.Join(dir, "s"), env: env}
	s.start()
	t.Cleanup(s.Kill)
	return s
}

// Binary is an example of the store crate, built before: STORE_EXAMPLES names the directory.
func Binary(t testing.TB, name string) string {
	t.Helper()
	dir := os.Getenv("STORE_EXAMPLES")
	if dir == "" {
		t.Fatal("STORE_EXAMPLES must name the directory of the store's examples; run make test-third-party")
	}
	return filepath.Join(dir, name)
}

// DataDir is where the sealed files are.
func (s *Server) DataDir() string {
	return filepath.Join(s.home, "data")
}

// AnchorFile is where the anchor is.
func (s *Server) AnchorFile() string {
	return filepath.Join(s.home, "anchor")
}

// Kill ends the process with SIGKILL and waits until it is gone.
func (s *Server) Kill() {
	if s.command == nil {
		return
	}
	_ = s.command.Process.Kill()
	_ = s.command.Wait()
	s.command = nil
}

// Restart starts a killed server again, on its data.
func (s *Server) Restart() {
	s.t.Helper()
	s.start()
}

func (s *Server) start() {
	s.t.Helper()
	command := exec.Command(Binary(s.t, "serve"), s.DataDir(), s.urls, s.AnchorFile())
	command.Env = append(os.Environ(), s.env...)
	command.Stderr = os.Stderr
	stdout, err := command.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.command = command
	endpoint, err := firstLine(bufio.NewReader(stdout))
	if err != nil {
		s.t.Fatalf("the server did not start: %v", err)
	}
	s.Endpoint = endpoint
}

func firstLine(reader *bufio.Reader) (string, error) {
	type line struct {
		text string
		err  error
	}
	read := make(chan line, 1)
	go func() {
		text, err := reader.ReadString('\n')
		read <- line{strings.TrimSpace(text), err}
	}()
	select {
	case first := <-read:
		return first.text, first.err
	case <-time.After(startup):
		return "", fmt.Errorf("nothing after %v", startup)
	}
}
