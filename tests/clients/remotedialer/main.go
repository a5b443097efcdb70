// Command remotedialer-client keeps a tunnel open to a gateway with the client of github.com/rancher/remotedialer, in
// the way of a K3s agent: a client certificate, an authorizer for what may be dialled, a new connection when one ends.
//
// Usage: remotedialer-client URL CA CERTIFICATE KEY ALLOWED. Only ALLOWED (host:port) may be dialled, and 127.0.0.1:1,
// where nothing listens. It says on stdout when it is connected and why a session ended.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/gorilla/websocket"
	"github.com/rancher/remotedialer"
	"github.com/sirupsen/logrus"
)

const pause = 100 * time.Millisecond

func main() {
	logrus.SetOutput(io.Discard)
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 5 {
		return errors.New("usage: remotedialer-client URL CA CERTIFICATE KEY ALLOWED")
	}
	url, allowed := args[0], args[4]
	config, err := clientConfig(args[1], args[2], args[3])
	if err != nil {
		return err
	}
	dialer := &websocket.Dialer{TLSClientConfig: config, HandshakeTimeout: remotedialer.HandshakeTimeOut}
	authorized := func(proto, address string) bool {
		return proto == "tcp" && (address == allowed || address == "127.0.0.1:1")
	}
	connected := func(context.Context, *remotedialer.Session) error {
		fmt.Println("connected")
		return nil
	}
	for {
		err := remotedialer.ConnectToProxy(context.Background(), url, nil, authorized, dialer, connected)
		fmt.Println("ended:", err)
		time.Sleep(pause)
	}
}

func clientConfig(ca, certificate, key string) (*tls.Config, error) {
	pem, err := os.ReadFile(ca)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", ca)
	}
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		return nil, err
	}
	return &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}, nil
}
