package servicelb

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/klog/v2"
)

const (
	// Changes that come together are answered together.
	gather = 200 * time.Millisecond
	// A failed change is tried again after this.
	retry = 5 * time.Second
)

// Controller keeps the addresses of services what Assign says.
type Controller struct {
	client   kubernetes.Interface
	services listers.ServiceLister
	nodes    listers.NodeLister
	synced   []cache.InformerSynced
	recorder record.EventRecorder
	reserved []int32
	changed  chan struct{}
	said     map[types.NamespacedName]string
}

// New makes a controller; it runs once the factory's informers do.
func New(
	client kubernetes.Interface, factory informers.SharedInformerFactory, recorder record.EventRecorder, reserved []int32,
) (*Controller, error) {
	services, nodes := factory.Core().V1().Services(), factory.Core().V1().Nodes()
	controller := &Controller{
		client: client, services: services.Lister(), nodes: nodes.Lister(), recorder: recorder, reserved: reserved,
		changed: make(chan struct{}, 1), said: make(map[types.NamespacedName]string),
	}
	handler := cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { controller.wake() },
		UpdateFunc: func(any, any) { controller.wake() },
		DeleteFunc: func(any) { controller.wake() },
	}
	for _, informer := range []cache.SharedIndexInformer{services.Informer(), nodes.Informer()} {
		if _, err := informer.AddEventHandler(handler); err != nil {
			return nil, fmt.Errorf("watching: %w", err)
		}
		controller.synced = append(controller.synced, informer.HasSynced)
	}
	return controller, nil
}

// Run works until ctx ends.
func (c *Controller) Run(ctx context.Context) {
	if !cache.WaitForCacheSync(ctx.Done(), c.synced...) {
		return
	}
	for {
		if err := c.once(ctx); err != nil {
			klog.ErrorS(err, "servicelb: trying again", "after", retry)
			time.AfterFunc(retry, c.wake)
		}
		select {
		case <-ctx.Done():
			return
		case <-c.changed:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(gather):
		}
	}
}

func (c *Controller) wake() {
	select {
	case c.changed <- struct{}{}:
	default: // it is awake already
	}
}

func (c *Controller) once(ctx context.Context) error {
	services, err := c.services.List(labels.Everything())
	if err != nil {
		return err
	}
	nodes, err := c.nodes.List(labels.Everything())
	if err != nil {
		return err
	}
	assigned := Assign(services, nodes, c.reserved)
	var failed error
	for _, service := range services {
		name := types.NamespacedName{Namespace: service.Namespace, Name: service.Name}
		assignment, ours := assigned[name]
		if !ours {
			delete(c.said, name)
			continue
		}
		c.tell(service, name, assignment.Problem)
		if equality.Semantic.DeepEqual(service.Status.LoadBalancer.Ingress, assignment.Ingress) {
			continue
		}
		wanted := service.DeepCopy()
		wanted.Status.LoadBalancer = corev1.LoadBalancerStatus{Ingress: assignment.Ingress}
		_, err := c.client.CoreV1().Services(service.Namespace).UpdateStatus(ctx, wanted, metav1.UpdateOptions{})
		// What is older than the API or gone by now comes again by the watch.
		if err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
			failed = fmt.Errorf("service %s: %w", name, err)
		}
	}
	return failed
}

// tell says a problem once.
func (c *Controller) tell(service *corev1.Service, name types.NamespacedName, problem string) {
	if problem == c.said[name] {
		return
	}
	c.said[name] = problem
	if problem != "" {
		c.recorder.Event(service, corev1.EventTypeWarning, "NoNodeAddresses", problem)
	}
}
