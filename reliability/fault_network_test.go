package reliability

import (
	"testing"
	"time"

	"github.com/fibersess/sess/internal/redistest"
)

// both are the ways through a proxy.
var both = []redistest.Direction{redistest.Up, redistest.Down}

// wires calls f for each proxy.
func (s *site) wires(f func(p *redistest.Proxy)) {
	for _, p := range s.proxies {
		f(p)
	}
}

func TestFaultsOfTheNetworkCostNoData(t *testing.T) {
	slow := func(name string, fails bool, d time.Duration) fault {
		return fault{name: name, place: proxied, fails: fails, inflict: func(s *site) {
			set := func(d time.Duration) {
				s.wires(func(p *redistest.Proxy) {
					p.Latency(redistest.Up, d)
					p.Latency(redistest.Down, d)
				})
			}
			set(d)
			s.lasts()
			set(0)
			time.Sleep(d) // What is on its way arrives late.
		}}
	}
	// lost: what is sent goes nowhere, until the connections are reset and new ones work.
	lost := func(name string, ways ...redistest.Direction) fault {
		return fault{name: name, place: proxied, fails: true, inflict: func(s *site) {
			swallow := func(on bool) {
				s.wires(func(p *redistest.Proxy) {
					for _, way := range ways {
						p.Swallow(way, on)
					}
				})
			}
			swallow(true)
			s.lasts()
			// A connection that lost something in the middle must not go on: no TCP would deliver what comes after.
			s.wires(func(p *redistest.Proxy) { p.Refuse(true); p.Reset() })
			swallow(false)
			s.wires(func(p *redistest.Proxy) { p.Refuse(false) })
		}}
	}
	// held: what is sent arrives when the fault is over, as packets do that are sent again.
	held := func(name string, nodes []int, spares func(request) bool, ways ...redistest.Direction) fault {
		return fault{name: name, place: proxied, fails: true, spares: spares, inflict: func(s *site) {
			for _, n := range nodes {
				for _, way := range ways {
					s.proxies[n].Hold(way)
				}
			}
			s.lasts()
			for _, n := range nodes {
				for _, way := range ways {
					s.proxies[n].Release(way)
				}
			}
		}}
	}
	runAll(t, []fault{
		slow("latency of 20 ms each way", false, 20*time.Millisecond),
		slow("latency above StoreTimeout", true, 400*time.Millisecond),
		{name: "connections reset every 50 ms", place: proxied, fails: true, inflict: func(s *site) {
			s.again(50*time.Millisecond, func() { s.wires((*redistest.Proxy).Reset) })
		}},
		{name: "connections refused", place: proxied, fails: true, inflict: func(s *site) {
			s.wires(func(p *redistest.Proxy) { p.Refuse(true); p.Reset() })
			s.lasts()
			s.wires(func(p *redistest.Proxy) { p.Refuse(false) })
		}},
		lost("black hole", both...),
		lost("black hole to the server", redistest.Up),
		lost("black hole from the server", redistest.Down),
		held("partition that heals", []int{0, 1}, nil, both...),
		held("partition that heals, to the server", []int{0, 1}, nil, redistest.Up),
		held("partition that heals, from the server", []int{0, 1}, nil, redistest.Down),
		held("one node cut off", []int{0}, func(r request) bool { return r.node == 1 }, both...),
	})
}
