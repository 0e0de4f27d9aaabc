package pages

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// AssetsPath is the path below which styles, scripts and images are served.
const AssetsPath = "/assets/"

// maxImage is the maximum size of a logo or icon, in bytes.
const maxImage = 1 << 20

// imagePolicy is the Content-Security-Policy of images. SVG images may contain scripts.
const imagePolicy = "default-src 'none'; style-src 'unsafe-inline'; sandbox"

// imageTypes maps the extensions of image files to media types.
var imageTypes = map[string]string{
	".svg": "image/svg+xml", ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp", ".gif": "image/gif", ".ico": "image/x-icon",
}

// builtinTypes maps the extensions of the built-in files to media types.
var builtinTypes = map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

// asset is a file to serve.
type asset struct {
	body        []byte
	contentType string
	policy      string
}

// assets contains all files by URL. URLs contain a hash of the content.
type assets struct {
	byURL map[string]asset
	urls  map[string]string // by the name of the built-in file
	logo  string
	icons map[string]string
}

func (a *assets) url(name string) string { return a.urls[name] }

func readAssets(o Options) (*assets, error) {
	a := &assets{byURL: make(map[string]asset), urls: make(map[string]string), icons: make(map[string]string)}
	entries, err := builtin.ReadDir("assets")
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		if err := a.addBuiltin(entry.Name(), o.Folder); err != nil {
			return nil, err
		}
	}
	if o.Logo != "" {
		if a.logo, err = a.addImage("logo", o.Logo); err != nil {
			return nil, fmt.Errorf("logo: %w", err)
		}
	}
	for id, file := range o.Icons {
		if a.icons[id], err = a.addImage("icon", file); err != nil {
			return nil, fmt.Errorf("icon of %s: %w", id, err)
		}
	}
	return a, nil
}

// addBuiltin adds a built-in file. Operators can replace only the style sheet, never a
// script.
func (a *assets) addBuiltin(name, folder string) error {
	text, err := builtin.ReadFile("assets/" + name)
	if err != nil {
		return err
	}
	contentType := builtinTypes[path.Ext(name)]
	if name == "style.css" {
		if folder != "" {
			own, err := os.ReadFile(filepath.Join(folder, name))
			if err == nil {
				text = own
			} else if !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	a.urls[name] = a.add(name, asset{text, contentType, "default-src 'none'"})
	return nil
}

// addImage adds an operator's image and returns its URL.
func (a *assets) addImage(name, file string) (string, error) {
	extension := strings.ToLower(filepath.Ext(file))
	contentType := imageTypes[extension]
	if contentType == "" {
		return "", fmt.Errorf("%s is not an image: its name has to end with .svg, .png, .jpg, .webp, .gif or .ico", file)
	}
	info, err := os.Stat(file)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() || info.Size() > maxImage {
		return "", fmt.Errorf("%s is not a regular file of at most %d bytes", file, maxImage)
	}
	body, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	return a.add(name+extension, asset{body, contentType, imagePolicy}), nil
}

func (a *assets) add(name string, file asset) string {
	sum := sha256.Sum256(file.body)
	extension := path.Ext(name)
	url := AssetsPath + strings.TrimSuffix(name, extension) + "." + hex.EncodeToString(sum[:8]) + extension
	a.byURL[url] = file
	return url
}

// ServeAsset serves the files below AssetsPath.
func (p *Pages) ServeAsset(w http.ResponseWriter, r *http.Request) {
	file, ok := p.assets.byURL[r.URL.Path]
	if !ok {
		p.Render(w, r, http.StatusNotFound, NotFound())
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		p.Render(w, r, http.StatusMethodNotAllowed, WrongMethod())
		return
	}
	header := w.Header()
	securityHeaders(header, file.policy)
	header.Set("Cache-Control", "public, max-age=31536000, immutable")
	header.Set("Content-Type", file.contentType)
	header.Set("Content-Length", strconv.Itoa(len(file.body)))
	if r.Method == http.MethodGet {
		w.Write(file.body) //nolint:errcheck // nothing to do if the browser has gone
	}
}
