"""The local cluster: a real Kubernetes on a bare machine, for development and tests. Standard library only.

`python3 dev/cluster up` builds its programs from Go modules (binaries), starts them as plain processes (lifecycle)
and leaves a kubeconfig behind; `down` takes everything away again. It runs before any virtual environment exists,
hence no dependency.
"""
