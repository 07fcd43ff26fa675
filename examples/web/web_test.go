package web_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gofiber/fiber/v2"

	"github.com/fibersess/sess/examples/web"
)

func TestStyleAndIconAreServedByFiberAndByNetHTTP(t *testing.T) {
	app := fiber.New()
	web.Use(app)
	mux := http.NewServeMux()
	web.Handle(mux)
	for path, kind := range map[string]string{"/style.css": "text/css; charset=utf-8", "/icon.svg": "image/svg+xml"} {
		want := func(by string, res *http.Response) {
			t.Helper()
			defer res.Body.Close()
			if got := res.Header.Get("Content-Type"); res.StatusCode != 200 || got != kind || res.ContentLength == 0 {
				t.Errorf("%s by %s: got %d, %q and %d bytes; want 200, %q and some", path, by, res.StatusCode, got, res.ContentLength, kind)
			}
		}
		res, err := app.Test(httptest.NewRequest("GET", path, nil))
		if err != nil {
			t.Fatal(err)
		}
		want("Fiber", res)
		recorder := httptest.NewRecorder()
		mux.ServeHTTP(recorder, httptest.NewRequest("GET", path, nil))
		want("net/http", recorder.Result())
	}
}
