// Package servicelb gives Services of type LoadBalancer the addresses of the cluster's nodes. kube-proxy on every
// node then answers at these addresses; no pod and no host port is needed.
package servicelb

import (
	"cmp"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// PoolLabel, when any node carries it as "true", limits the addresses to those that do: K3s' label.
const PoolLabel = "svccontroller.k3s.cattle.io/enablelb"

// Assignment is what becomes of one service.
type Assignment struct {
	Ingress []corev1.LoadBalancerIngress
	// Problem says why it gets no addresses.
	Problem string
}

type portKey struct {
	protocol corev1.Protocol
	port     int32
}

// Ours says whether a service asks for addresses of nodes.
func Ours(service *corev1.Service) bool {
	return service.Spec.Type == corev1.ServiceTypeLoadBalancer && service.Spec.LoadBalancerClass == nil
}

// Assign decides for all services at once, so that two of them never answer at the same port of a node. The older
// one wins; ports that the nodes need for themselves belong to nobody.
func Assign(services []*corev1.Service, nodes []*corev1.Node, reserved []int32) map[types.NamespacedName]Assignment {
	ingress := addresses(nodes)
	services = slices.Clone(services)
	slices.SortFunc(services, older)
	taken := make(map[portKey]types.NamespacedName)
	result := make(map[types.NamespacedName]Assignment)
	for _, service := range services {
		if !Ours(service) || service.DeletionTimestamp != nil {
			continue
		}
		name := types.NamespacedName{Namespace: service.Namespace, Name: service.Name}
		if problem := conflict(service, taken, reserved); problem != "" {
			result[name] = Assignment{Problem: problem}
			continue
		}
		for _, port := range service.Spec.Ports {
			taken[key(port)] = name
		}
		if len(ingress) == 0 {
			result[name] = Assignment{Problem: "no node is Ready"}
			continue
		}
		result[name] = Assignment{Ingress: ingress}
	}
	return result
}

func conflict(service *corev1.Service, taken map[portKey]types.NamespacedName, reserved []int32) string {
	for _, port := range service.Spec.Ports {
		if slices.Contains(reserved, port.Port) {
			return fmt.Sprintf("port %d belongs to the nodes themselves", port.Port)
		}
		if other, is := taken[key(port)]; is {
			return fmt.Sprintf("port %d/%s of the nodes is taken by service %s", port.Port, key(port).protocol, other)
		}
	}
	return ""
}

func key(port corev1.ServicePort) portKey {
	return portKey{protocol: cmp.Or(port.Protocol, corev1.ProtocolTCP), port: port.Port}
}

func older(a, b *corev1.Service) int {
	return cmp.Or(
		a.CreationTimestamp.Compare(b.CreationTimestamp.Time),
		cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name),
	)
}

// addresses are those of nodes that are Ready and not excluded; the external one where a node has one.
func addresses(nodes []*corev1.Node) []corev1.LoadBalancerIngress {
	pool := slices.ContainsFunc(nodes, func(node *corev1.Node) bool { return node.Labels[PoolLabel] == "true" })
	var found []string
	for _, node := range nodes {
		_, excluded := node.Labels[corev1.LabelNodeExcludeBalancers]
		if excluded || !ready(node) || (pool && node.Labels[PoolLabel] != "true") {
			continue
		}
		if address := address(node); address != "" {
			found = append(found, address)
		}
	}
	slices.Sort(found)
	virtual := corev1.LoadBalancerIPModeVIP
	var ingress []corev1.LoadBalancerIngress
	for _, ip := range slices.Compact(found) {
		ingress = append(ingress, corev1.LoadBalancerIngress{IP: ip, IPMode: &virtual})
	}
	return ingress
}

func ready(node *corev1.Node) bool {
	return slices.ContainsFunc(node.Status.Conditions, func(condition corev1.NodeCondition) bool {
		return condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue
	})
}

func address(node *corev1.Node) string {
	for _, kind := range []corev1.NodeAddressType{corev1.NodeExternalIP, corev1.NodeInternalIP} {
		for _, address := range node.Status.Addresses {
			if address.Type == kind {
				return address.Address
			}
		}
	}
	return ""
}
