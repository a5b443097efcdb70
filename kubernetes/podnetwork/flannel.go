// Package podnetwork connects the pods of all nodes. It is flannel: leases are Node objects, which carry each node's
// range of pod addresses and how to reach it. Only the back ends that a cluster of strangers can use are in it.
package podnetwork

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/flannel-io/flannel/pkg/backend"
	_ "github.com/flannel-io/flannel/pkg/backend/hostgw"
	_ "github.com/flannel-io/flannel/pkg/backend/vxlan"
	_ "github.com/flannel-io/flannel/pkg/backend/wireguard"
	"github.com/flannel-io/flannel/pkg/ipmatch"
	"github.com/flannel-io/flannel/pkg/subnet"
	"github.com/flannel-io/flannel/pkg/subnet/kube"
	"github.com/flannel-io/flannel/pkg/trafficmngr/iptables"
	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
)

const (
	annotationPrefix = "flannel.alpha.coreos.com"
	// How often a node without a range of pod addresses is looked at again.
	lookAgain = 500 * time.Millisecond
	// How often the forwarding rules are checked, seconds.
	resyncSeconds = 10
)

type options struct {
	kubeconfig string
	node       string
	netConf    string
	subnetFile string
	address    string
	keyFile    string
	forward    bool
}

// NewCommand runs flannel until it is told to stop.
func NewCommand() *cobra.Command {
	var opts options
	command := &cobra.Command{
		Use:          "flannel",
		Short:        "The pod network between nodes",
		SilenceUsage: true,
		Args:         cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return opts.run(genericapiserver.SetupSignalContext())
		},
	}
	flags := command.Flags()
	flags.StringVar(&opts.kubeconfig, "kubeconfig", "", "Who it is towards the API: needs to list nodes and to patch its own")
	flags.StringVar(&opts.node, "node-name", "", "Name of this node")
	flags.StringVar(&opts.netConf, "net-config-path", "", "Flannel's net-conf.json")
	flags.StringVar(&opts.subnetFile, "subnet-file", "", "Where to write the node's range and MTU, once the network is up")
	flags.StringVar(&opts.address, "node-ip", "", "Address of this node; its interface carries the traffic")
	flags.StringVar(&opts.keyFile, "wireguard-key-file", "", "Private key of this node's WireGuard, made when missing")
	flags.BoolVar(&opts.forward, "iptables-forward-rules", true, "Let pods' traffic through a FORWARD chain that drops")
	return command
}

func (o *options) run(ctx context.Context) error {
	// Flannel's packages take these from the environment only.
	for name, value := range map[string]string{"NODE_NAME": o.node, "WIREGUARD_KEY_FILE": o.keyFile} {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	if err := o.waitForRange(ctx); err != nil {
		return err
	}
	manager, err := kube.NewSubnetManager(ctx, "", o.kubeconfig, annotationPrefix, o.netConf, false)
	if err != nil {
		return fmt.Errorf("reading nodes: %w", err)
	}
	config, err := manager.GetNetworkConfig(ctx)
	if err != nil {
		return fmt.Errorf("reading %s: %w", o.netConf, err)
	}
	iface, err := o.externalInterface(ctx, manager, config)
	if err != nil {
		return err
	}
	var group sync.WaitGroup
	network, err := register(ctx, &group, manager, iface, config)
	if err != nil {
		return fmt.Errorf("setting up %s: %w", config.BackendType, err)
	}
	if o.forward {
		rules := &iptables.IPTablesManager{}
		if err := rules.Init(ctx); err != nil {
			return fmt.Errorf("packet filter: %w", err)
		}
		rules.SetupAndEnsureForwardRules(ctx, config.Network, config.IPv6Network, resyncSeconds)
	}
	lease := network.Lease()
	err = manager.HandleSubnetFile(o.subnetFile, config, false, lease.Subnet, lease.IPv6Subnet, network.MTU())
	if err != nil {
		return fmt.Errorf("writing %s: %w", o.subnetFile, err)
	}
	klog.InfoS("pod network is up", "backend", config.BackendType, "subnet", lease.Subnet, "mtu", network.MTU())
	network.Run(ctx)
	group.Wait()
	return nil
}

// waitForRange returns once the controller manager has given this node its range of pod addresses.
func (o *options) waitForRange(ctx context.Context) error {
	config, err := clientcmd.BuildConfigFromFlags("", o.kubeconfig)
	if err != nil {
		return fmt.Errorf("reading %s: %w", o.kubeconfig, err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	last := ""
	for {
		node, err := client.CoreV1().Nodes().Get(ctx, o.node, metav1.GetOptions{})
		said := "the node has no range of pod addresses yet"
		switch {
		case err != nil:
			said = err.Error()
		case node.Spec.PodCIDR != "":
			return nil
		}
		if said != last {
			klog.InfoS("waiting", "node", o.node, "for", said)
			last = said
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lookAgain):
		}
	}
}

// externalInterface is the one that carries the node's address; others reach it at that address unless the node's
// annotation public-ip-overwrite says otherwise.
func (o *options) externalInterface(
	ctx context.Context, manager subnet.Manager, config *subnet.Config,
) (*backend.ExternalInterface, error) {
	family, err := ipmatch.GetIPFamily(config.EnableIPv4, config.EnableIPv6)
	if err != nil {
		return nil, err
	}
	public, _ := manager.GetStoredPublicIP(ctx)
	if public == "" {
		public = o.address
	}
	iface, err := ipmatch.LookupExtIface(o.address, "", "", family, ipmatch.PublicIPOpts{PublicIP: public})
	if err != nil {
		return nil, fmt.Errorf("no interface has the node's address %s: %w", o.address, err)
	}
	if iface.Iface.Flags&net.FlagUp == 0 {
		return nil, errors.New("the interface of the node's address is down")
	}
	return iface, nil
}

// register makes the back end's devices and puts this node's part into its Node object.
func register(
	ctx context.Context, group *sync.WaitGroup, manager subnet.Manager, iface *backend.ExternalInterface,
	config *subnet.Config,
) (backend.Network, error) {
	if config.BackendType == wireguardType && !kernelHasWireguard() {
		klog.InfoS("this kernel has no WireGuard: it runs in this process")
		return newUserspace(manager, iface).RegisterNetwork(ctx, group, config)
	}
	chosen, err := backend.NewManager(ctx, manager, iface).GetBackend(config.BackendType)
	if err != nil {
		return nil, err
	}
	return chosen.RegisterNetwork(ctx, group, config)
}
