module github.com/k3s-daas/k3s-daas/tests/third-party/server

go 1.26.0
