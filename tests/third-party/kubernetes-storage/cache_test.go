package storage

import (
	"context"
	"testing"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/apis/example"
	examplev1 "k8s.io/apiserver/pkg/apis/example/v1"
	apistorage "k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/cacher"
	storagetesting "k8s.io/apiserver/pkg/storage/testing"
)

// newCache puts kube-apiserver's watch cache before the storage, as kube-apiserver does.
func newCache(t *testing.T) (context.Context, *cacher.CacheDelegator, *rig) {
	t.Helper()
	ctx, r := newRig(t)
	cache, err := cacher.NewCacherFromConfig(cacher.Config{
		Storage:             r,
		Versioner:           apistorage.APIObjectVersioner{},
		GroupResource:       schema.GroupResource{Resource: "pods"},
		EventsHistoryWindow: cacher.DefaultEventFreshDuration,
		ResourcePrefix:      "/pods/",
		KeyFunc: func(object runtime.Object) (string, error) {
			return apistorage.NamespaceKeyFunc("/pods/", object)
		},
		GetAttrsFunc: func(object runtime.Object) (labels.Set, fields.Set, error) {
			pod := object.(*example.Pod)
			return pod.Labels, fields.Set{"metadata.name": pod.Name, "metadata.namespace": pod.Namespace}, nil
		},
		NewFunc:     func() runtime.Object { return &example.Pod{} },
		NewListFunc: func() runtime.Object { return &example.PodList{} },
		Codec:       codecs.LegacyCodec(examplev1.SchemeGroupVersion),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cache.Stop)
	if err := cache.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	delegator := cacher.NewCacheDelegator(cache, r)
	t.Cleanup(delegator.Stop)
	return ctx, delegator, r
}

// Bookmarks are the watch cache's; it learns their revision from the store's progress.
func TestCachedWatchBookmarks(t *testing.T) {
	t.Parallel()
	ctx, cache, _ := newCache(t)
	storagetesting.RunTestOptionalWatchBookmarksWithCorrectResourceVersion(ctx, t, cache)
}

// A consistent list from the cache waits for progress that it asks the store for.
func TestCachedConsistentList(t *testing.T) {
	t.Parallel()
	ctx, cache, r := newCache(t)
	storagetesting.RunTestConsistentList(ctx, t, cache, r.write, true, true, true)
}
