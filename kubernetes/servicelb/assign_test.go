package servicelb

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func service(name string, age int, ports ...int32) *corev1.Service {
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "default", Name: name, CreationTimestamp: metav1.NewTime(time.Unix(int64(1000-age), 0)),
		},
		Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer},
	}
	for _, port := range ports {
		service.Spec.Ports = append(service.Spec.Ports, corev1.ServicePort{Port: port})
	}
	return service
}

func node(name, address string, status corev1.ConditionStatus) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{}},
		Status: corev1.NodeStatus{
			Addresses:  []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: address}},
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: status}},
		},
	}
}

func of(result map[types.NamespacedName]Assignment, name string) (string, string) {
	assignment := result[types.NamespacedName{Namespace: "default", Name: name}]
	var ips []string
	for _, ingress := range assignment.Ingress {
		ips = append(ips, ingress.IP)
	}
	return strings.Join(ips, " "), assignment.Problem
}

func TestReadyNodesGiveTheirAddresses(t *testing.T) {
	nodes := []*corev1.Node{
		node("b", "10.0.0.2", corev1.ConditionTrue), node("a", "10.0.0.1", corev1.ConditionTrue),
		node("down", "10.0.0.3", corev1.ConditionUnknown), node("excluded", "10.0.0.4", corev1.ConditionTrue),
	}
	nodes[3].Labels[corev1.LabelNodeExcludeBalancers] = ""
	ips, problem := of(Assign([]*corev1.Service{service("web", 0, 80)}, nodes, nil), "web")
	if ips != "10.0.0.1 10.0.0.2" || problem != "" {
		t.Errorf("%q %q", ips, problem)
	}
	nodes[0].Labels[PoolLabel] = "true"
	if ips, _ := of(Assign([]*corev1.Service{service("web", 0, 80)}, nodes, nil), "web"); ips != "10.0.0.2" {
		t.Errorf("outside of the pool: %q", ips)
	}
	if ips, problem := of(Assign([]*corev1.Service{service("web", 0, 80)}, nil, nil), "web"); ips != "" || problem == "" {
		t.Errorf("without nodes: %q %q", ips, problem)
	}
}

func TestAPortHasOneServiceAndTheOldestKeepsIt(t *testing.T) {
	nodes := []*corev1.Node{node("a", "10.0.0.1", corev1.ConditionTrue)}
	result := Assign([]*corev1.Service{service("young", 1, 80, 81), service("old", 2, 80)}, nodes, nil)
	if ips, _ := of(result, "old"); ips != "10.0.0.1" {
		t.Errorf("old: %q", ips)
	}
	if ips, problem := of(result, "young"); ips != "" || !strings.Contains(problem, "default/old") {
		t.Errorf("young: %q %q", ips, problem)
	}
	udp := service("udp", 1, 80)
	udp.Spec.Ports[0].Protocol = corev1.ProtocolUDP
	if ips, _ := of(Assign([]*corev1.Service{udp, service("old", 2, 80)}, nodes, nil), "udp"); ips != "10.0.0.1" {
		t.Errorf("another protocol: %q", ips)
	}
}

func TestNobodyTakesAPortOfTheNodesOrAServiceOfAnotherClass(t *testing.T) {
	nodes := []*corev1.Node{node("a", "10.0.0.1", corev1.ConditionTrue)}
	result := Assign([]*corev1.Service{service("evil", 0, 10250)}, nodes, []int32{10250})
	if ips, problem := of(result, "evil"); ips != "" || !strings.Contains(problem, "10250") {
		t.Errorf("%q %q", ips, problem)
	}
	class := "example.com/other"
	other := service("other", 0, 80)
	other.Spec.LoadBalancerClass = &class
	if result := Assign([]*corev1.Service{other}, nodes, nil); len(result) != 0 {
		t.Errorf("%v", result)
	}
}
