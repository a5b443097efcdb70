package metrics

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// proxy answers one CONNECT with the reply and then sends back what it gets.
func proxy(t *testing.T, reply string) (string, *string) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "egress.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	asked := new(string)
	go func() {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		defer connection.Close()
		reader := bufio.NewReader(connection)
		request, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		*asked = request.Method + " " + request.Host
		io.WriteString(connection, reply)
		io.Copy(connection, reader)
	}()
	return socket, asked
}

func TestAKubeletIsReachedThroughTheProxy(t *testing.T) {
	socket, asked := proxy(t, "HTTP/1.1 200 OK\r\n\r\n")
	connection, err := through(context.Background(), socket, "10.0.0.9:10250")
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	if _, err := io.WriteString(connection, "hello"); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 5)
	if _, err := io.ReadFull(connection, answer); err != nil || string(answer) != "hello" {
		t.Errorf("%q %v", answer, err)
	}
	if *asked != "CONNECT 10.0.0.9:10250" {
		t.Errorf("asked %q", *asked)
	}
}

func TestAProxyThatRefusesIsAnError(t *testing.T) {
	for _, reply := range []string{"HTTP/1.1 503 no such node\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\ntoo early", "nonsense\r\n\r\n"} {
		socket, _ := proxy(t, reply)
		if _, err := through(context.Background(), socket, "10.0.0.9:10250"); err == nil {
			t.Errorf("%q was taken", reply)
		} else if !strings.Contains(err.Error(), "10.0.0.9:10250") {
			t.Errorf("it names no address: %v", err)
		}
	}
	if _, err := through(context.Background(), "/nonexistent.sock", "10.0.0.9:10250"); err == nil {
		t.Error("no proxy")
	}
}
