// Command coredns is CoreDNS with only the plugins that the local cluster uses.
//
// The stock main imports every plugin and with them the SDKs of three clouds, which doubles the build. The order below is
// the order in which CoreDNS chains plugins, taken from its own plugin.cfg; the Corefile's order does not matter.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"

	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/forward"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/loop"
	_ "github.com/coredns/coredns/plugin/ready"
)

func init() {
	dnsserver.Directives = []string{"bind", "health", "ready", "errors", "cache", "kubernetes", "loop", "forward"}
}

func main() {
	coremain.Run()
}
