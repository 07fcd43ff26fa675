package csrf_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/csrf"
	"github.com/fibersess/sess/sesstest"
)

func ExampleNew() {
	app := fiber.New()
	app.Use(sess.New())
	app.Use(csrf.New())
	app.Post("/pay", func(c *fiber.Ctx) error { return c.SendString("paid") })

	req, _ := http.NewRequest(http.MethodPost, "/pay", nil)
	for _, site := range []string{"same-origin", "cross-site"} { // what a browser says
		req.Header.Set("Sec-Fetch-Site", site)
		res, err := sesstest.NewClient(app).Do(req)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(site, res.StatusCode)
	}
	// Output:
	// same-origin 200
	// cross-site 403
}

func ExampleToken() {
	app := fiber.New()
	app.Use(sess.New())
	app.Use(csrf.New(csrf.Config{Token: true}))
	app.Get("/", func(c *fiber.Ctx) error {
		c.Type("html")
		return c.SendString(`<form method="post" action="/pay"><input type="hidden" name="csrf" value="` + csrf.Token(c) + `"></form>`)
	})
	app.Post("/pay", func(c *fiber.Ctx) error { return c.SendString("paid") })

	client := sesstest.NewClient(app)
	res, err := client.Get("/")
	if err != nil {
		fmt.Println(err)
		return
	}
	page, _ := io.ReadAll(res.Body)
	_, token, _ := strings.Cut(string(page), `value="`)
	token, _, _ = strings.Cut(token, `"`)

	for _, form := range []url.Values{{}, {"csrf": {token}}} {
		res, err := client.PostForm("/pay", form)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(res.StatusCode)
	}
	// Output:
	// 403
	// 200
}
