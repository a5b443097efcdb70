package main

import (
	"fmt"

	"github.com/spf13/cobra"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/client-go/rest"
	"k8s.io/component-base/cli/globalflag"
	basecompatibility "k8s.io/component-base/compatibility"
	"k8s.io/component-base/logs"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/component-base/version/verflag"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
)

// newAPIServer is kube-apiserver with one more flag. Upstream remembers every accepted bearer token for ten
// seconds, whatever --authentication-token-webhook-cache-ttl says, and has no flag for that: a revoked seal
// token would go on working as long.
func newAPIServer() *cobra.Command {
	ctx := genericapiserver.SetupSignalContext()
	settings := options.NewServerRunOptions()
	command := &cobra.Command{
		Use:          "kube-apiserver",
		Short:        "The Kubernetes API server",
		SilenceUsage: true,
		Args:         cobra.NoArgs,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			rest.SetDefaultWarningHandler(rest.NoWarnings{})
			return settings.GenericServerRunOptions.ComponentGlobalsRegistry.Set()
		},
		RunE: func(*cobra.Command, []string) error {
			verflag.PrintAndExitIfRequested()
			registry := settings.GenericServerRunOptions.ComponentGlobalsRegistry
			gates := registry.FeatureGateFor(basecompatibility.DefaultKubeComponent)
			if err := logsapi.ValidateAndApply(settings.Logs, gates); err != nil {
				return fmt.Errorf("logging flags: %w", err)
			}
			completed, err := settings.Complete(ctx)
			if err != nil {
				return err
			}
			if problems := completed.Validate(); len(problems) > 0 {
				return utilerrors.NewAggregate(problems)
			}
			registry.AddMetrics()
			return app.Run(ctx, completed)
		},
	}
	command.SetContext(ctx)
	sets := settings.Flags()
	global := sets.FlagSet("global")
	verflag.AddFlags(global)
	globalflag.AddGlobalFlags(global, command.Name(), logs.SkipLoggingConfigurationFlags())
	sets.FlagSet("authentication").DurationVar(&settings.Authentication.TokenSuccessCacheTTL,
		"authentication-token-success-cache-ttl", settings.Authentication.TokenSuccessCacheTTL,
		"How long an accepted bearer token of any kind is remembered. 0 asks its authenticator every time.")
	for _, set := range sets.FlagSets {
		command.Flags().AddFlagSet(set)
	}
	return command
}
