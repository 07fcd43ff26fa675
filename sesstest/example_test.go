package sesstest_test

import (
	"fmt"
	"io"
	"net/url"
	"testing"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/sesstest"
)

// A store of your own is held to the contract by a test of your own.
func ExampleTestStore() {
	testMyStore := func(t *testing.T) { // func TestMyStore(t *testing.T)
		sesstest.TestStore(t, func(t *testing.T) sess.Store { return sess.NewMemoryStore() })
	}
	fmt.Printf("%T\n", testMyStore)
	// Output: func(*testing.T)
}

func ExampleNewClient() {
	client := sesstest.NewClient(newApp())
	res, err := client.PostForm("/login", url.Values{"user": {"ann"}}) // keeps the cookie and follows the redirect to /me
	if err != nil {
		fmt.Println(err)
		return
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	fmt.Println(res.StatusCode, string(body))
	// Output: 200 ann at app.test
}
