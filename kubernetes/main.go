// Command kubernetes is upstream Kubernetes in one binary: the first argument, or the name it is called
// by, says which of its programs it is.
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
)

var programs = []string{
	"kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubectl", "kubelet",
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
