module github.com/seed-244866eb/gatehouse

go 1.26.0

require (
	github.com/gaissmai/bart v0.30.0
	github.com/go-asn1-ber/asn1-ber v1.5.8
	github.com/go-ldap/ldap/v3 v3.4.15
	github.com/gorilla/sessions v1.4.0
	github.com/mojocn/base64Captcha v1.3.8
	github.com/patrickmn/go-cache v2.1.0+incompatible
	golang.org/x/text v0.43.0
	golang.org/x/time v0.16.0
)

require (
	github.com/Azure/go-ntlmssp v0.1.1 // indirect
	github.com/golang/freetype v0.0.0-20170609003504-e2365dfdc4a0 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/gorilla/securecookie v1.1.2 // indirect
	golang.org/x/crypto v0.54.0 // indirect
	golang.org/x/image v0.23.0 // indirect
)
