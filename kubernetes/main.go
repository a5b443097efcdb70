// Command kubernetes is upstream Kubernetes and what K3s adds to it in one binary: the first argument, or the name
// it is called by, says which of its programs it is.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	_ "k8s.io/client-go/plugin/pkg/client/auth"
	"k8s.io/client-go/transport"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"

	"k8s.io/component-base/cli"
	"k8s.io/component-base/logs"
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"

	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"

	"github.com/k3s-daas/k3s-daas/kubernetes/dns"
	"github.com/k3s-daas/k3s-daas/kubernetes/metrics"
	"github.com/k3s-daas/k3s-daas/kubernetes/podnetwork"
)

var programs = []string{
	"addon-controllers", "coredns", "flannel", "kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler",
	"kubectl", "kubelet", "metrics-server",
}

// How soon a renewed client certificate is used. Upstream looks every five minutes, but a certificate that is
// tied to an old generation of a seal token is refused at once.
const certificateReload = 2 * time.Second

func main() {
	transport.CertCallbackRefreshDuration = certificateReload
	name := filepath.Base(os.Args[0])
	if !slices.Contains(programs, name) {
		if len(os.Args) < 2 {
			usage("say which program")
		}
		name = os.Args[1]
		os.Args = append([]string{name}, os.Args[2:]...)
	}
	switch name {
	case "addon-controllers":
		run(newAddonControllers())
	case "coredns":
		run(dns.NewCommand())
	case "flannel":
		run(podnetwork.NewCommand())
	case "kube-apiserver":
		run(newAPIServer())
	case "kube-controller-manager":
		run(controllers.NewControllerManagerCommand())
	case "kube-proxy":
		run(proxy.NewProxyCommand())
	case "kube-scheduler":
		run(scheduler.NewSchedulerCommand())
	case "kubelet":
		run(kubelet.NewKubeletCommand(context.Background()))
	case "kubectl":
		runKubectl()
	case "metrics-server":
		run(metrics.NewCommand())
	default:
		usage(fmt.Sprintf("there is no program %q in this binary", name))
	}
}

func run(command *cobra.Command) {
	os.Exit(cli.Run(command))
}

// kubectl prints its errors in its own way, and wants the verbosity before its flags are parsed.
func runKubectl() {
	logs.GlogSetter(kubectl.GetLogVerbosity(os.Args)) // as upstream: a bad level is reported by flag parsing
	if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
		kubectlutil.CheckErr(err)
	}
}

func usage(problem string) {
	fmt.Fprintf(os.Stderr, "kubernetes: %s\nusage: kubernetes PROGRAM [FLAGS]\nprograms: %s\n",
		problem, strings.Join(programs, ", "))
	os.Exit(2)
}
