package main

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcore "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"

	"github.com/k3s-daas/k3s-daas/kubernetes/localpath"
	"github.com/k3s-daas/k3s-daas/kubernetes/servicelb"
)

// The names under which K3s switches them off.
const (
	serviceLB    = "servicelb"
	localStorage = "local-storage"
)

type addonOptions struct {
	kubeconfig string
	names      []string
	reserved   []int32
	root       string
	image      string
}

// newAddonControllers are the controllers that K3s brings and Kubernetes does not.
func newAddonControllers() *cobra.Command {
	var opts addonOptions
	command := &cobra.Command{
		Use:          "addon-controllers",
		Short:        "Addresses for LoadBalancer services, local storage",
		SilenceUsage: true,
		Args:         cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return opts.run(genericapiserver.SetupSignalContext())
		},
	}
	flags := command.Flags()
	flags.StringVar(&opts.kubeconfig, "kubeconfig", "", "Who it is towards the API")
	flags.StringSliceVar(&opts.names, "controllers", []string{serviceLB, localStorage}, "Which to run")
	flags.Int32SliceVar(&opts.reserved, "reserved-ports", nil, "Ports of nodes that no service gets")
	flags.StringVar(&opts.root, "local-path-root", "/var/lib/k3s-daas/storage", "Directory on every node for local volumes")
	flags.StringVar(&opts.image, "helper-image", "", "Image with a shell that is on every node")
	return command
}

func (o *addonOptions) run(ctx context.Context) error {
	config, err := clientcmd.BuildConfigFromFlags("", o.kubeconfig)
	if err != nil {
		return fmt.Errorf("reading %s: %w", o.kubeconfig, err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	var group sync.WaitGroup
	defer group.Wait()
	if slices.Contains(o.names, serviceLB) {
		events := record.NewBroadcaster(record.WithContext(ctx))
		events.StartRecordingToSink(&typedcore.EventSinkImpl{Interface: client.CoreV1().Events("")})
		factory := informers.NewSharedInformerFactory(client, 0)
		source := corev1.EventSource{Component: serviceLB}
		balancer, err := servicelb.New(client, factory, events.NewRecorder(scheme.Scheme, source), o.reserved)
		if err != nil {
			return err
		}
		factory.Start(ctx.Done())
		group.Go(func() { balancer.Run(ctx) })
	}
	if slices.Contains(o.names, localStorage) {
		provisioner := &localpath.Provisioner{Client: client, Root: o.root, Image: o.image}
		storage := controller.NewProvisionController(ctx, client, localpath.Name, provisioner,
			controller.LeaderElection(false), controller.MetricsPort(0))
		group.Go(func() { storage.Run(ctx) })
	}
	return nil
}
