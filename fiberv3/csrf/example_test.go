package csrf_test

import (
	"fmt"
	"net/http"

	"github.com/gofiber/fiber/v3"

	sess "github.com/fibersess/sess/fiberv3"
	"github.com/fibersess/sess/fiberv3/csrf"
	"github.com/fibersess/sess/sesstest"
)

func ExampleNew() {
	app := fiber.New()
	app.Use(sess.New(), csrf.New())
	app.Post("/transfer", func(c fiber.Ctx) error { return c.SendString("done") })

	client := sesstest.NewClient(app)
	for _, site := range []string{"same-origin", "cross-site"} {
		req, err := http.NewRequest(http.MethodPost, "/transfer", nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		req.Header.Set("Sec-Fetch-Site", site) // as every browser does
		res, err := client.Do(req)
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
