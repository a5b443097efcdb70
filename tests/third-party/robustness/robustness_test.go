package robustness

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/k3s-daas/k3s-daas/tests/third-party/server"
	"go.etcd.io/etcd/tests/v3/robustness/client"
	"go.etcd.io/etcd/tests/v3/robustness/identity"
	"go.etcd.io/etcd/tests/v3/robustness/report"
	"go.etcd.io/etcd/tests/v3/robustness/traffic"
	"go.etcd.io/etcd/tests/v3/robustness/validate"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"
	"golang.org/x/time/rate"
)

const (
	// kills of the server during the traffic of one test.
	kills = 3
	// life is how long the server lives between two kills.
	life = 1500 * time.Millisecond
	// enough successful requests for a verdict to mean something, on a slow machine.
	enough = 300
	// patience of the checker; a history of ours takes it seconds.
	patience = 2 * time.Minute
)

func TestEtcdTraffic(t *testing.T) {
	t.Parallel()
	run(t, traffic.EtcdPutDeleteLease, traffic.Profile{
		KeyValue:   &traffic.KeyValueMedium,
		Watch:      &traffic.WatchDefault,
		Compaction: &traffic.CompactionDefault,
	})
}

func TestKubernetesTraffic(t *testing.T) {
	t.Parallel()
	run(t, traffic.Kubernetes, traffic.Profile{
		KeyValue:   &traffic.KeyValueMedium,
		Watch:      &traffic.WatchDefault,
		Compaction: &traffic.CompactionDefault,
	})
}

func TestKubernetesCreateDeleteTraffic(t *testing.T) {
	t.Parallel()
	run(t, traffic.KubernetesCreateDelete, traffic.Profile{
		KeyValue: &traffic.KeyValueMedium,
		Watch:    &traffic.WatchDefault,
	})
}

// run drives a store with etcd's traffic while it is killed again and again, and has etcd's checker judge what the
// clients saw and what the log says.
func run(t *testing.T, kind traffic.Traffic, profile traffic.Profile) {
	// One log from the first request to the last: no snapshot may replace a part of it. Small segments, so that the
	// log is begun anew under traffic too.
	store := server.StartOnSocket(t, "SEGMENT_BYTES=65536", "SNAPSHOT_LOG_BYTES=1073741824", "PROGRESS_INTERVAL_MS=100")
	reports, err := simulate(t, store, kind, profile)
	if err != nil {
		t.Fatal(err)
	}
	store.Kill()
	requests := persistedRequests(t, store)
	config := validate.Config{ExpectRevisionUnique: kind.ExpectUniqueRevision()}
	// The checker says what it found wrong at level error.
	logger := zaptest.NewLogger(t, zaptest.Level(zap.ErrorLevel))
	result := validate.ValidateAndReturnVisualize(logger, config, reports, requests, patience)
	verdicts := map[string]validate.Result{
		"assumptions": result.Assumptions, "linearization": result.Linearization.Result,
		"watch": result.Watch, "serializable": result.Serializable,
	}
	for what, verdict := range verdicts {
		if verdict.Status != validate.Success {
			t.Errorf("%s: %q", what, verdict)
		}
	}
}

// simulate returns what every client was told.
func simulate(t *testing.T, store *server.Server, kind traffic.Traffic, profile traffic.Profile) ([]report.ClientReport, error) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ids, base := identity.NewIDProvider(), time.Now()
	clients, watchers := client.NewSet(ids, base), client.NewSet(ids, base)
	defer clients.Close()
	defer watchers.Close()
	endpoints := []string{store.Endpoint}
	if err := traffic.CheckEmptyDatabaseAtStart(ctx, zap.NewNop(), endpoints, clients); err != nil {
		return nil, err
	}
	maxRevision := make(chan int64, 1)
	collected := make(chan error, 1)
	go func() {
		collected <- client.CollectClusterWatchEvents(ctx, client.CollectClusterWatchEventsParam{
			Lg: zap.NewNop(), Endpoints: endpoints, MaxRevisionChan: maxRevision, ClientSet: watchers,
		})
	}()

	finish, done := make(chan struct{}), sync.WaitGroup{}
	if err := startTraffic(ctx, &done, finish, endpoints, clients, kind, profile); err != nil {
		return nil, err
	}
	for range kills {
		time.Sleep(life)
		store.Kill()
		store.Restart()
	}
	time.Sleep(life)
	close(finish)
	done.Wait()
	end := time.Since(base)

	// The checker wants a last write that every watch must have seen.
	last, err := clients.NewClient(endpoints)
	if err != nil {
		return nil, err
	}
	defer last.Close()
	if _, err := last.Put(ctx, "tombstone", "true"); err != nil {
		return nil, fmt.Errorf("the last write: %w", err)
	}
	maxRevision <- report.OperationsMaxRevision(clients.Reports())
	close(maxRevision)
	if err := <-collected; err != nil {
		return nil, err
	}
	reports := slices.Concat(clients.Reports(), watchers.Reports())
	requests, events := traffic.CalculateStats(reports, 0, end), traffic.CalculateWatchStats(reports, 0, end)
	t.Logf("%d requests succeeded, %d failed; %d watches were told %d events and %d times of progress",
		requests.Successes, requests.Failures, events.Requests, events.Events, events.ProgressNotifies)
	if requests.Successes < enough || requests.Failures == 0 || events.Events < enough {
		return nil, fmt.Errorf("that tests nothing: at least %d requests and events are needed, and some lost to kills", enough)
	}
	return reports, nil
}

func startTraffic(
	ctx context.Context, done *sync.WaitGroup, finish <-chan struct{}, endpoints []string, clients *client.ClientSet,
	kind traffic.Traffic, profile traffic.Profile,
) error {
	limiter := rate.NewLimiter(rate.Limit(profile.KeyValue.MaximalQPS), profile.KeyValue.BurstableQPS)
	keys, objects := traffic.NewKeyStore(10, "key"), traffic.NewKubernetesStorage()
	err := traffic.SimulateKeyValueTraffic(ctx, done, profile.KeyValue, endpoints, clients, kind, traffic.RunTrafficLoopParam{
		QPSLimiter:                         limiter,
		IDs:                                clients.IdentityProvider(),
		LeaseIDStorage:                     identity.NewLeaseIDStorage(),
		NonUniqueRequestConcurrencyLimiter: traffic.NewConcurrencyLimiter(profile.KeyValue.MaxNonUniqueRequestConcurrency),
		KeyStore:                           keys,
		Storage:                            objects,
		Finish:                             finish,
	})
	if err != nil {
		return err
	}
	err = traffic.SimulateWatchTraffic(ctx, done, profile.Watch, endpoints, clients, kind, traffic.RunWatchLoopParam{
		Config: *profile.Watch, QPSLimiter: limiter, KeyStore: keys, Storage: objects, Finish: finish, Logger: zap.NewNop(),
	})
	if err != nil || profile.Compaction == nil {
		return err
	}
	return traffic.SimulateCompactionTraffic(ctx, done, profile.Compaction, endpoints, clients, kind, traffic.RunCompactLoopParam{
		Period: profile.Compaction.Period, Finish: finish,
	})
}
