// Package robustness holds nothing: its tests run etcd's robustness checker against a store's endpoint.
package robustness
