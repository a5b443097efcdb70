// Package storage holds nothing: its tests run Kubernetes' own storage tests against a store's endpoint.
package storage
