"""What nodes and Pods use: read from the kubelets (or metrics.k8s.io), turned into figures by pure functions."""
