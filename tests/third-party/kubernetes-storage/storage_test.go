package storage

import (
	"context"
	"testing"

	"k8s.io/apiserver/pkg/features"
	apistorage "k8s.io/apiserver/pkg/storage"
	storagetesting "k8s.io/apiserver/pkg/storage/testing"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	featuregatetesting "k8s.io/component-base/featuregate/testing"
)

// plain are the tests that need nothing but a storage.
var plain = map[string]func(context.Context, *testing.T, apistorage.Interface){
	"CreateWithTTL":                             storagetesting.RunTestCreateWithTTL,
	"CreateWithKeyExist":                        storagetesting.RunTestCreateWithKeyExist,
	"Get":                                       storagetesting.RunTestGet,
	"UnconditionalDelete":                       storagetesting.RunTestUnconditionalDelete,
	"ConditionalDelete":                         storagetesting.RunTestConditionalDelete,
	"DeleteWithSuggestion":                      storagetesting.RunTestDeleteWithSuggestion,
	"DeleteWithSuggestionAndConflict":           storagetesting.RunTestDeleteWithSuggestionAndConflict,
	"DeleteWithConflict":                        storagetesting.RunTestDeleteWithConflict,
	"DeleteWithSuggestionOfDeletedObject":       storagetesting.RunTestDeleteWithSuggestionOfDeletedObject,
	"ValidateDeletionWithSuggestion":            storagetesting.RunTestValidateDeletionWithSuggestion,
	"ValidateDeletionWithOnlySuggestion":        storagetesting.RunTestValidateDeletionWithOnlySuggestionValid,
	"PreconditionalDeleteWithSuggestion":        storagetesting.RunTestPreconditionalDeleteWithSuggestion,
	"PreconditionalDeleteWithOnlySuggestion":    storagetesting.RunTestPreconditionalDeleteWithOnlySuggestionPass,
	"GetListRecursivePrefix":                    storagetesting.RunTestGetListRecursivePrefix,
	"GuaranteedUpdateWithTTL":                   storagetesting.RunTestGuaranteedUpdateWithTTL,
	"GuaranteedUpdateWithConflict":              storagetesting.RunTestGuaranteedUpdateWithConflict,
	"GuaranteedUpdateWithSuggestionAndConflict": storagetesting.RunTestGuaranteedUpdateWithSuggestionAndConflict,
	"ListPaging":                                storagetesting.RunTestListPaging,
	"NamespaceScopedList":                       storagetesting.RunTestNamespaceScopedList,
	"KeySchema":                                 storagetesting.RunTestKeySchema,
	"Watch":                                     storagetesting.RunTestWatch,
	"DeleteTriggerWatch":                        storagetesting.RunTestDeleteTriggerWatch,
	"WatchFromNonZero":                          storagetesting.RunTestWatchFromNonZero,
	"DelayedWatchDelivery":                      storagetesting.RunTestDelayedWatchDelivery,
	"WatchContextCancel":                        storagetesting.RunTestWatchContextCancel,
	"WatcherTimeout":                            storagetesting.RunTestWatcherTimeout,
	"WatchDeleteEventObjectHaveLatestRV":        storagetesting.RunTestWatchDeleteEventObjectHaveLatestRV,
	"WatchInitializationSignal":                 storagetesting.RunTestWatchInitializationSignal,
	"ClusterScopedWatch":                        storagetesting.RunTestClusterScopedWatch,
	"NamespaceScopedWatch":                      storagetesting.RunTestNamespaceScopedWatch,
}

// gated are those that set feature gates, which are global: they run alone.
var gated = map[string]func(context.Context, *testing.T, apistorage.Interface){
	"SendInitialEventsBackwardCompatibility": storagetesting.RunSendInitialEventsBackwardCompatibility,
	"WatchSemantics":                         storagetesting.RunWatchSemantics,
	"WatchSemanticInitialEventsExtended":     storagetesting.RunWatchSemanticInitialEventsExtended,
	"WatchListMatchSingle":                   storagetesting.RunWatchListMatchSingle,
}

// tampering are the tests that put a transformer of their own between storage and store.
var tampering = map[string]func(context.Context, *testing.T, storagetesting.InterfaceWithPrefixTransformer){
	"ListResourceVersionMatch":          storagetesting.RunTestListResourceVersionMatch,
	"GuaranteedUpdateChecksStoredData":  storagetesting.RunTestGuaranteedUpdateChecksStoredData,
	"TransformationFailure":             storagetesting.RunTestTransformationFailure,
	"WatchError":                        storagetesting.RunTestWatchError,
	"WatchErrorIsBlockingFurtherEvents": storagetesting.RunWatchErrorIsBlockingFurtherEvents,
}

// others need more of the rig than their storage.
var others = map[string]func(context.Context, *testing.T, *rig){
	"Create": func(ctx context.Context, t *testing.T, r *rig) {
		storagetesting.RunTestCreate(ctx, t, r, r.stored)
	},
	"List": func(ctx context.Context, t *testing.T, r *rig) {
		storagetesting.RunTestList(ctx, t, r, r.compact, false, r.lists)
	},
	"ConsistentList": func(ctx context.Context, t *testing.T, r *rig) {
		storagetesting.RunTestConsistentList(ctx, t, r, r.write, false, true, false)
	},
	"GetListNonRecursive": func(ctx context.Context, t *testing.T, r *rig) {
		storagetesting.RunTestGetListNonRecursive(ctx, t, r.write, r)
	},
	"ListContinuation": func(ctx context.Context, t *testing.T, r *rig) {
		storagetesting.RunTestListContinuation(ctx, t, r, r.calls)
	},
	"ListContinuationWithFilter": func(ctx context.Context, t *testing.T, r *rig) {
		storagetesting.RunTestListContinuationWithFilter(ctx, t, r, r.calls)
	},
	"ListInconsistentContinuation": func(ctx context.Context, t *testing.T, r *rig) {
		storagetesting.RunTestListInconsistentContinuation(ctx, t, r, r.compact)
	},
	"GuaranteedUpdate": func(ctx context.Context, t *testing.T, r *rig) {
		storagetesting.RunTestGuaranteedUpdate(ctx, t, r, r.stored)
	},
	"Stats": func(ctx context.Context, t *testing.T, r *rig) {
		storagetesting.RunTestStats(ctx, t, r, r.codec, r.transformer, false)
	},
	"StatsWithSizes": func(ctx context.Context, t *testing.T, r *rig) {
		if err := r.estimate(r.keys); err != nil {
			t.Fatal(err)
		}
		storagetesting.RunTestStats(ctx, t, r, r.codec, r.transformer, true)
	},
	"WatchFromZero": func(ctx context.Context, t *testing.T, r *rig) {
		storagetesting.RunTestWatchFromZero(ctx, t, r, r.compact)
	},
}

func TestStorage(t *testing.T) {
	for name, run := range plain {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, r := newRig(t)
			run(ctx, t, r)
		})
	}
	for name, run := range tampering {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, r := newRig(t)
			run(ctx, t, r)
		})
	}
	for name, run := range others {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, r := newRig(t)
			run(ctx, t, r)
		})
	}
}

func TestGated(t *testing.T) {
	for name, run := range gated {
		t.Run(name, func(t *testing.T) {
			ctx, r := newRig(t)
			run(ctx, t, r)
		})
	}
}

func TestListPaginationRareObject(t *testing.T) {
	// Reading the compact revision would be one more call than the test counts.
	featuregatetesting.SetFeatureGateDuringTest(t, utilfeature.DefaultFeatureGate, features.ListFromCacheSnapshot, false)
	ctx, r := newRig(t)
	storagetesting.RunTestListPaginationRareObject(ctx, t, r, r.calls)
}

func TestCompactRevision(t *testing.T) {
	featuregatetesting.SetFeatureGateDuringTest(t, utilfeature.DefaultFeatureGate, features.ListFromCacheSnapshot, true)
	ctx, r := newRig(t)
	storagetesting.RunTestCompactRevision(ctx, t, r, r.write, r.compact)
}

func TestWatchWithUnsafeDelete(t *testing.T) {
	featuregatetesting.SetFeatureGateDuringTest(t, utilfeature.DefaultFeatureGate, features.AllowUnsafeMalformedObjectDeletion, true)
	ctx, r := newRig(t)
	storagetesting.RunTestWatchWithUnsafeDelete(ctx, t, r)
}

func TestWatchSemanticsWithConcurrentDecode(t *testing.T) {
	featuregatetesting.SetFeatureGateDuringTest(t, utilfeature.DefaultFeatureGate, features.ConcurrentWatchObjectDecode, true)
	ctx, r := newRig(t)
	storagetesting.RunWatchSemantics(ctx, t, r)
}

// The server tells progress every second for these.

func TestProgressNotify(t *testing.T) {
	t.Parallel()
	ctx, r := newRig(t, "PROGRESS_INTERVAL_MS=1000")
	storagetesting.RunOptionalTestProgressNotify(ctx, t, r, r.write)
}

func TestWatchDispatchBookmarkEvents(t *testing.T) {
	t.Parallel()
	ctx, r := newRig(t, "PROGRESS_INTERVAL_MS=1000")
	storagetesting.RunTestWatchDispatchBookmarkEvents(ctx, t, r, false)
}
