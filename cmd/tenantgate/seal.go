package main

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"

	"tenantgate/proxy"
	"tenantgate/rewrite"
	"tenantgate/rewrite/catalog"
)

// sealIterations slow down whoever guesses a password by what its keys make.
const sealIterations = 600_000

// readSealKey reads tenancy.seal_key. What is wrong with it is told without a
// word of it.
func (r *configReader) readSealKey(v value) {
	r.sealKey = v
	text, ok := v.secret()
	if !ok {
		return
	}
	key, err := catalog.ParseSealKey(text.Reveal())
	if err != nil {
		v.problem("%s: %s; openssl rand -hex 32 makes one", v.key(), err)
		return
	}
	r.cfg.Tenancy.SealKey = &key
}

// checkSeal gives each backend the key of its seal.
func (r *configReader) checkSeal() {
	t := &r.cfg.Tenancy
	switch {
	case !t.Seal:
		return
	case t.Enforce == proxy.Rewrite:
		r.seal.problem("%s has no effect with enforce: rewrite, which needs no policies; allowed: with enforce rls or both", r.seal.key())
		return
	}
	for name, b := range r.cfg.Backends {
		if b.sealKey = t.SealKey; b.sealKey == nil {
			b.sealKey = r.deriveSealKey(b)
		}
		r.cfg.Backends[name] = b
	}
}

// deriveSealKey makes a key of the password of a backend's role: no tenant
// knows it, and who does is past the proxy anyway.
func (r *configReader) deriveSealKey(b Backend) *catalog.SealKey {
	if b.server.Password == "" {
		if r.sealKey.node == nil {
			r.seal.problem("%s needs the key \"seal_key\", for backend %q has no password to make one of; openssl rand -hex 32 makes one", r.seal.key(), b.Name)
		}
		return nil
	}
	derived, err := stretch(b, "seal")
	if err != nil {
		r.seal.problem("%s: make a key of the password of backend %q: %s", r.seal.key(), b.Name, err)
		return nil
	}
	key := catalog.SealKey(derived)
	return &key
}

// secret is what keeps tenants' advisory locks and channels apart on a backend:
// made of tenancy.seal_key, else of the password of the backend's role. Without
// either there is none that proxies could share.
func (b Backend) secret(key *catalog.SealKey) (*rewrite.Secret, error) {
	var secret rewrite.Secret
	switch {
	case key != nil:
		mac := hmac.New(sha256.New, key[:])
		mac.Write([]byte("tenantgate apart"))
		copy(secret[:], mac.Sum(nil))
	case b.server.Password != "":
		derived, err := stretch(b, "apart")
		if err != nil {
			return nil, err
		}
		copy(secret[:], derived)
	default:
		return nil, nil
	}
	return &secret, nil
}

// stretch makes a key of a backend's password.
func stretch(b Backend, purpose string) ([]byte, error) {
	return pbkdf2.Key(sha256.New, b.server.Password, []byte("tenantgate "+purpose+" "+b.server.User), sealIterations, sha256.Size)
}
