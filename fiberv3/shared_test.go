package sess_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A program moves from Fiber v2 to v3 by its imports, so what one package has the other must have too.
func TestEverythingOfTheRootHasTheSameNameHere(t *testing.T) {
	for _, folder := range []string{"", "csrf"} {
		here := exported(t, folder)
		for name := range exported(t, filepath.Join("..", folder)) {
			if !here[name] {
				t.Errorf("%s: is exported by the package of this name for Fiber v2 and not here; want it in both", filepath.Join(folder, name))
			}
		}
	}
}

// exported returns the exported names of a package, methods aside.
func exported(t *testing.T, folder string) map[string]bool {
	t.Helper()
	packages, err := parser.ParseDir(token.NewFileSet(), filepath.Clean("./"+folder), func(f fs.FileInfo) bool {
		return !strings.HasSuffix(f.Name(), "_test.go")
	}, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	note := func(id *ast.Ident) {
		if id.IsExported() {
			names[id.Name] = true
		}
	}
	for _, p := range packages {
		for _, file := range p.Files {
			for _, decl := range file.Decls {
				switch d := decl.(type) {
				case *ast.FuncDecl:
					if d.Recv == nil {
						note(d.Name)
					}
				case *ast.GenDecl:
					for _, spec := range d.Specs {
						switch s := spec.(type) {
						case *ast.TypeSpec:
							note(s.Name)
						case *ast.ValueSpec:
							for _, id := range s.Names {
								note(id)
							}
						}
					}
				}
			}
		}
	}
	if len(names) == 0 {
		t.Fatalf("%s: got no exported names, want those of a package", folder)
	}
	return names
}

// The package for Fiber v2 is imported, since what the two share is there. The linker leaves out what nobody calls: of Fiber v2
// its errors and its initialization are left, and of the Redis client tables.
func TestAProgramOnFiberV3LinksNoAppOfFiberV2(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program")
	}
	program := filepath.Join(t.TempDir(), "counter")
	if out, err := exec.Command("go", "build", "-o", program, "./testdata/counter").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	out, err := exec.Command("go", "tool", "nm", program).Output()
	if err != nil {
		t.Fatalf("go tool nm: %v", err)
	}
	symbols := string(out)
	if !strings.Contains(symbols, "github.com/gofiber/fiber/v3.(*App).") {
		t.Fatal("the program: got no App of Fiber v3, want one, or this test sees nothing")
	}
	for _, unwanted := range []string{
		"github.com/gofiber/fiber/v2.(*App).", "github.com/gofiber/fiber/v2.(*Ctx).", "github.com/gofiber/fiber/v2.New",
		"github.com/redis/rueidis.NewClient", "github.com/redis/rueidis.(*mux).",
	} {
		if strings.Contains(symbols, unwanted) {
			t.Errorf("the program: got the symbol %s…, want none of these", unwanted)
		}
	}
}

// A version of this module works with every later one of the main module, whose internal packages may change at any time.
func TestNothingInternalOfTheMainModuleIsImported(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{join .Imports "\n"}}`, "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(out), "github.com/fibersess/sess\n") {
		t.Fatal("imports: got none of the main module, want it, or this test sees nothing")
	}
	for path := range strings.Lines(string(out)) {
		if strings.HasPrefix(path, "github.com/fibersess/sess/internal/") {
			t.Errorf("imports: got %s, want what is exported alone", path)
		}
	}
}
