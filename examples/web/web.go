// Package web is what the pages of all examples have in common: a style sheet and an icon.
package web

import (
	"embed"
	"net/http"

	"github.com/gofiber/fiber/v2"
)

//go:embed style.css icon.svg
var files embed.FS

// kinds are the files and what they are.
var kinds = map[string]string{
	"style.css": "text/css; charset=utf-8",
	"icon.svg":  "image/svg+xml",
}

// Use has app serve the files. Call it in front of the session middleware: nobody needs a session for a style sheet.
func Use(app *fiber.App) {
	for name, kind := range kinds {
		text, err := files.ReadFile(name)
		if err != nil {
			panic(err) // The compiler has put it there.
		}
		app.Get("/"+name, func(c *fiber.Ctx) error {
			c.Set(fiber.HeaderContentType, kind)
			c.Set(fiber.HeaderCacheControl, "max-age=300")
			return c.Send(text)
		})
	}
}

// Handle has mux serve the files.
func Handle(mux *http.ServeMux) {
	for name := range kinds {
		mux.Handle("GET /"+name, http.FileServerFS(files))
	}
}
