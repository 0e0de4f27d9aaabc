package op

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// privateKeyOf parses the private key of a PEM block (PKCS #8, PKCS #1, SEC 1). It
// returns nil for other blocks, which are often in the same file. The error reveals
// nothing about the content.
func privateKeyOf(block *pem.Block) (key any, err error) {
	switch {
	case block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "":
		return nil, errors.New("is encrypted with a password; write it without one")
	case block.Type == "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case block.Type == "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case block.Type == "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	default: // EC PARAMETERS, a certificate, a public key
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the PEM block %s cannot be read", clip(block.Type))
	}
	return key, nil
}
