// Package conformance names what is built here from upstream's module: its end-to-end tests (`go test -c
// k8s.io/kubernetes/test/e2e`) and, as tools in go.mod, the programs that their pods run and what runs them in parallel.
package conformance

import _ "k8s.io/kubernetes/test/e2e"
