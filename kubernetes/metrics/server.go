// Package metrics is metrics-server, which `kubectl top` and autoscalers ask. It reaches kubelets behind NAT as
// kube-apiserver does: through the master's egress proxy.
package metrics

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/metrics-server/cmd/metrics-server/app/options"
)

const (
	dialLimit = 10 * time.Second
	lookAgain = 500 * time.Millisecond
)

// NewCommand is metrics-server with one more flag.
func NewCommand() *cobra.Command {
	settings := options.NewOptions()
	var egress string
	command := &cobra.Command{
		Use:          "metrics-server",
		Short:        "Resource metrics of nodes and pods",
		SilenceUsage: true,
		Args:         cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return run(genericapiserver.SetupSignalContext(), settings, egress)
		},
	}
	for _, set := range settings.Flags().FlagSets {
		command.Flags().AddFlagSet(set)
	}
	command.Flags().StringVar(&egress, "egress-socket", "", "Reach kubelets through the HTTP CONNECT proxy on this unix socket")
	return command
}

func run(ctx context.Context, settings *options.Options, egress string) error {
	if problems := settings.Validate(); len(problems) > 0 {
		return problems[0]
	}
	if err := wait(ctx, settings.Kubeconfig); err != nil {
		return err
	}
	config, err := settings.ServerConfig()
	if err != nil {
		return err
	}
	if egress != "" {
		config.Kubelet.Client.Dial = func(ctx context.Context, _, address string) (net.Conn, error) {
			return through(ctx, egress, address)
		}
	}
	server, err := config.Complete()
	if err != nil {
		return err
	}
	return server.RunUntil(ctx.Done())
}

// wait returns once kube-apiserver has published by what certificates its proxied requests are known, and this user
// may read it: without that metrics-server would end at once.
func wait(ctx context.Context, kubeconfig string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return fmt.Errorf("reading %s: %w", kubeconfig, err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	for {
		known, err := client.CoreV1().ConfigMaps("kube-system").Get(ctx, "extension-apiserver-authentication", metav1.GetOptions{})
		if err == nil && known.Data["requestheader-client-ca-file"] != "" {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lookAgain):
		}
	}
}

// through asks the proxy for a connection to address (RFC 9110, CONNECT).
func through(ctx context.Context, socket, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	connection, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, fmt.Errorf("egress proxy: %w", err)
	}
	if deadline, ok := ctx.Deadline(); ok {
		_ = connection.SetDeadline(deadline)
	}
	request := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: address}, Host: address, Header: http.Header{}}
	reader := bufio.NewReader(connection)
	reply, err := exchange(connection, reader, request)
	if err == nil && reply.StatusCode != http.StatusOK {
		err = fmt.Errorf("it answered %s", reply.Status)
	}
	if err == nil && reader.Buffered() > 0 {
		// A TLS server speaks second: these bytes belong to nobody.
		err = fmt.Errorf("it sent %d bytes too many", reader.Buffered())
	}
	if err != nil {
		connection.Close()
		return nil, fmt.Errorf("egress proxy, %s: %w", address, err)
	}
	return connection, connection.SetDeadline(time.Time{})
}

func exchange(connection net.Conn, reader *bufio.Reader, request *http.Request) (*http.Response, error) {
	if err := request.Write(connection); err != nil {
		return nil, err
	}
	return http.ReadResponse(reader, request)
}
