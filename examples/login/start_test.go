package main

import (
	"os"
	"testing"

	"github.com/valyala/fasthttp"
)

// TestMain lets fasthttp start the goroutine behind the Date header, which it does with the first response of a
// process, before a test writes that one in a bubble of testing/synctest and waits there for a goroutine without end.
func TestMain(m *testing.M) {
	new(fasthttp.ResponseHeader).AppendBytes(nil)
	os.Exit(m.Run())
}
