package middleware

import (
	"html/template"
	"net/http"
)

// pageHeader describes one of our pages. The application's own security
// policy stands; without one, nobody may frame a page that takes passwords.
func pageHeader(h http.Header) {
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	if h.Get("Content-Security-Policy") == "" {
		h.Set("Content-Security-Policy", "frame-ancestors 'none'")
	}
}

// pageStyle is shared by the built-in pages: readable without any asset, in
// light and dark.
const pageStyle = `<style>
:root{color-scheme:light dark;--line:#7a869a;--accent:#0747a6;--on:#fff;--bad:#ae2a19}
@media(prefers-color-scheme:dark){:root{--accent:#85b8ff;--on:#1d2125;--bad:#ff9c8f}}
body{font:1rem/1.5 system-ui,sans-serif;margin:0;padding:1rem}
main{max-width:22rem;margin:8vh auto 0}
h1{font-size:1.5rem;margin:0 0 1rem}
label{display:block;margin-top:1rem;font-weight:600}
input[type=text],input[type=password]{box-sizing:border-box;width:100%;font:inherit;padding:.5rem;border:1px solid var(--line);border-radius:4px}
button{margin-top:1.25rem;font:inherit;font-weight:600;padding:.5rem 1.25rem;border:0;border-radius:4px;background:var(--accent);color:var(--on)}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
.message{border-left:4px solid var(--bad);padding:.25rem .75rem}
img{display:block;margin:.5rem 0;max-width:100%;background:#fff;border-radius:4px}
small{color:inherit;opacity:.8}
</style>`

var builtinLoginPage = template.Must(template.New("login").Parse(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{if .Message}}Login failed{{else}}Log in{{end}}</title>
` + pageStyle + `
</head>
<body>
<main>
<h1>Log in</h1>
{{with .Message}}<p class="message" id="message" role="alert">{{.}}</p>{{end}}
{{with .LoggedIn}}<p>You are logged in as <strong>{{.}}</strong>. Logging in again replaces that session.</p>{{end}}
<form method="post" action="{{.Action}}">
<label for="username">Username</label>
<input type="text" id="username" name="os_username" value="{{.Username}}" autocomplete="username" autocapitalize="none" spellcheck="false" required{{if not .Username}} autofocus{{end}}>
<label for="password">Password</label>
<input type="password" id="password" name="os_password" autocomplete="current-password" required{{if .Username}} autofocus{{end}}{{if .Message}} aria-describedby="message"{{end}}>
{{if .CaptchaID}}<label for="captcha">Characters in the picture</label>
<img src="{{.CaptchaURL}}" width="240" height="80" alt="Distorted characters to type into the field below">
<input type="text" id="captcha" name="os_captcha" autocomplete="off" autocapitalize="none" spellcheck="false" required>
<input type="hidden" name="os_captcha_id" value="{{.CaptchaID}}">
{{end}}<input type="hidden" name="os_destination" value="{{.Destination}}">
<button type="submit">Log in</button>
</form>
{{with .RequestID}}{{if $.Message}}<p><small>Request {{.}}</small></p>{{end}}{{end}}
</main>
</body>
</html>
`))

// builtinPasswordPage asks for the old password once more: it stands in no
// page, where a cache or a neighbour could read it.
var builtinPasswordPage = template.Must(template.New("password").Parse(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Change your password</title>
` + pageStyle + `
</head>
<body>
<main>
<h1>Change your password</h1>
{{with .Message}}<p class="message" id="message" role="alert">{{.}}</p>{{end}}
<form method="post" action="{{.Action}}">
<label for="username">Username</label>
<input type="text" id="username" name="os_username" value="{{.Username}}" autocomplete="username" autocapitalize="none" spellcheck="false" required>
<label for="password">Old password</label>
<input type="password" id="password" name="os_password" autocomplete="current-password" required autofocus{{if .Message}} aria-describedby="message"{{end}}>
<label for="new">New password</label>
<input type="password" id="new" name="os_new_password" autocomplete="new-password" required>
<label for="confirm">New password again</label>
<input type="password" id="confirm" name="os_new_password_confirm" autocomplete="new-password" required>
{{if .CaptchaID}}<label for="captcha">Characters in the picture</label>
<img src="{{.CaptchaURL}}" width="240" height="80" alt="Distorted characters to type into the field below">
<input type="text" id="captcha" name="os_captcha" autocomplete="off" autocapitalize="none" spellcheck="false" required>
<input type="hidden" name="os_captcha_id" value="{{.CaptchaID}}">
{{end}}<input type="hidden" name="os_destination" value="{{.Destination}}">
<button type="submit">Change and log in</button>
</form>
{{with .RequestID}}{{if $.Message}}<p><small>Request {{.}}</small></p>{{end}}{{end}}
</main>
</body>
</html>
`))

type logoutPageData struct {
	Name         string // "" for nobody, and for a user without access
	Action, Home string
	Field, Token string // no token: there is no session to end
}

var logoutPage = template.Must(template.New("logout").Parse(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Log out</title>
` + pageStyle + `
</head>
<body>
<main>
<h1>Log out</h1>
{{if .Token}}{{with .Name}}<p>You are logged in as <strong>{{.}}</strong>.</p>
{{end}}<form method="post" action="{{.Action}}">
<input type="hidden" name="{{.Field}}" value="{{.Token}}">
<button type="submit">Log out</button>
</form>
<p><a href="{{.Home}}">Stay logged in</a></p>
{{else}}<p>You are not logged in.</p>
<p><a href="{{.Home}}">Go to the home page</a></p>
{{end}}</main>
</body>
</html>
`))

type errorPageData struct {
	Title     string
	Text      string
	RequestID string
}

var errorPage = template.Must(template.New("error").Parse(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}}</title>
` + pageStyle + `
</head>
<body>
<main>
<h1>{{.Title}}</h1>
<p>{{.Text}}</p>
{{with .RequestID}}<p><small>Request {{.}}</small></p>{{end}}
</main>
</body>
</html>
`))
