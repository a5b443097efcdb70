// Package dns is CoreDNS with the plugins that a node's cluster DNS needs.
package dns

import (
	"fmt"
	"log"
	"os"

	"github.com/coredns/caddy"
	_ "github.com/coredns/coredns/core/dnsserver" // the server type "dns"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/forward"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/loadbalance"
	_ "github.com/coredns/coredns/plugin/metrics"
	_ "github.com/coredns/coredns/plugin/ready"
	"github.com/spf13/cobra"
)

// NewCommand runs CoreDNS until it is told to stop. CoreDNS' own main is not used: it puts its flags among those
// of every other program in the binary.
func NewCommand() *cobra.Command {
	var conf string
	command := &cobra.Command{
		Use:          "coredns",
		Short:        "The cluster's DNS server",
		SilenceUsage: true,
		Args:         cobra.NoArgs,
		RunE:         func(*cobra.Command, []string) error { return run(conf) },
	}
	command.Flags().StringVar(&conf, "conf", "Corefile", "Corefile to serve")
	return command
}

func run(conf string) error {
	contents, err := os.ReadFile(conf)
	if err != nil {
		return fmt.Errorf("reading the Corefile: %w", err)
	}
	// Kubernetes' commands send the standard logger's lines to klog; CoreDNS sends klog's to the standard logger,
	// which would wait for itself.
	log.SetOutput(os.Stderr)
	log.SetFlags(0)
	caddy.Quiet = true
	caddy.TrapSignals()
	input := caddy.CaddyfileInput{Filepath: conf, Contents: contents, ServerTypeName: "dns"}
	instance, err := caddy.Start(input)
	if err != nil {
		return fmt.Errorf("starting CoreDNS: %w", err)
	}
	instance.Wait()
	return nil
}
