// Command work makes changes of a watched session among many, and writes what of the stores was executed for each. The
// test beside it builds it with the counters of the compiler, which no clock and no load can change.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"runtime/coverage"
	"strconv"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/fibersess/sess"
)

// changes is how many there are: the least work of them is without what happens beside, such as a heartbeat.
const changes = 3

func main() {
	n := flag.Int("watched", 100, "the number of sessions that are watched")
	addr := flag.String("redis", "", "the address of a server; without one, a MemoryStore")
	dir := flag.String("dir", "", "where the counters go")
	flag.Parse()
	if err := run(*n, *addr, *dir); err != nil {
		log.Fatal(err)
	}
}

// watching is a store that tells of changes.
type watching interface {
	sess.Store
	sess.Watcher
}

func open(addr string) (writer, store watching, err error) {
	if addr == "" {
		s := sess.NewMemoryStore()
		return s, s, nil
	}
	both := make([]*sess.RueidisStore, 2)
	for i := range both {
		if both[i], err = sess.NewRueidisStore(rueidis.ClientOption{InitAddress: []string{addr}}); err != nil {
			return nil, nil, err
		}
	}
	return both[0], both[1], nil
}

func run(n int, addr, dir string) error {
	writer, store, err := open(addr)
	if err != nil {
		return err
	}
	told := make(chan struct{}, 2*changes)
	id, err := watch(store, n, func(*sess.Record, error) { told <- struct{}{} })
	if err != nil {
		return err
	}
	<-told
	for i := range changes {
		record, err := sess.ParseRecord(fmt.Sprintf(`{"n":%d}`, i))
		if err != nil {
			return err
		}
		if err := coverage.ClearCounters(); err != nil {
			return err
		}
		if err := writer.Set(context.Background(), id, record, time.Hour); err != nil {
			return err
		}
		<-told
		if err := write(filepath.Join(dir, strconv.Itoa(i))); err != nil {
			return err
		}
	}
	return nil
}

// watch watches n sessions, and returns the id of the one of which seen is told.
func watch(store watching, n int, seen func(*sess.Record, error)) (one sess.ID, err error) {
	const goroutines = 64
	nobody := func(*sess.Record, error) {}
	failed := make([]error, goroutines)
	var all sync.WaitGroup
	for part := range goroutines {
		all.Go(func() {
			for i := part; i < n && failed[part] == nil; i += goroutines {
				id, err := sess.ParseID(fmt.Sprintf("watched-among-many-%06d", i))
				if err == nil && i == n/2 {
					one = id
					_, err = store.Watch(context.Background(), id, seen)
				} else if err == nil {
					_, err = store.Watch(context.Background(), id, nobody)
				}
				failed[part] = err
			}
		})
	}
	all.Wait()
	for _, err := range failed {
		if err != nil {
			return one, err
		}
	}
	return one, nil
}

// write writes the counters to a folder of their own.
func write(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := coverage.WriteCountersDir(dir); err != nil {
		return err
	}
	return coverage.WriteMetaDir(dir)
}
