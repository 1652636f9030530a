package auth

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/xdg-go/scram"
)

const (
	mechanism     = "SCRAM-SHA-256"
	mechanismPlus = "SCRAM-SHA-256-PLUS"
)

// prove has the client prove that it knows the password behind v. It waits
// before it looks at the proof. A false proof is ErrRejected.
func prove(ctx context.Context, v Verifier, serverCert []byte, ex Exchange, wait func(context.Context) error) error {
	binding, err := serverEndPoint(serverCert)
	if err != nil {
		return err
	}
	offer := []string{mechanism}
	if binding.IsSupported() {
		offer = []string{mechanismPlus, mechanism}
	}
	if err := ex.Send(&pgproto3.AuthenticationSASL{AuthMechanisms: offer}); err != nil {
		return fmt.Errorf("offer SASL mechanisms: %w", err)
	}
	var initial pgproto3.SASLInitialResponse
	if err := ex.Receive(&initial); err != nil {
		return fmt.Errorf("read SASL initial response: %w", err)
	}
	conversation, err := converse(v, initial.AuthMechanism, string(initial.Data), binding)
	if err != nil {
		return err
	}
	answer, err := conversation.Step(string(initial.Data))
	if err != nil {
		return refusal(answer)
	}
	if conversation.AuthzID() != "" {
		return fmt.Errorf("%w: authorization identity is not supported", ErrProtocol)
	}
	if err := ex.Send(&pgproto3.AuthenticationSASLContinue{Data: []byte(answer)}); err != nil {
		return fmt.Errorf("send SASL challenge: %w", err)
	}
	var final pgproto3.SASLResponse
	if err := ex.Receive(&final); err != nil {
		return fmt.Errorf("read SASL response: %w", err)
	}
	proof := string(final.Data) // the message is the caller's while we wait
	if err := wait(ctx); err != nil {
		return err
	}
	answer, err = conversation.Step(proof)
	if err != nil || !conversation.Valid() {
		return refusal(answer)
	}
	if err := ex.Send(&pgproto3.AuthenticationSASLFinal{Data: []byte(answer)}); err != nil {
		return fmt.Errorf("send SASL outcome: %w", err)
	}
	return nil
}

// converse starts the conversation that the chosen mechanism asks for. The
// library does not see the mechanism, so its match with the header is checked
// here.
func converse(v Verifier, chosen, first string, binding scram.ChannelBinding) (*scram.ServerConversation, error) {
	// The start-up message's user counts; the one in here is often empty.
	server, err := scram.SHA256.NewServer(func(string) (scram.StoredCredentials, error) {
		return scram.StoredCredentials{
			KeyFactors: scram.KeyFactors{Salt: string(v.Salt), Iters: v.Iterations},
			StoredKey:  v.StoredKey,
			ServerKey:  v.ServerKey,
		}, nil
	})
	if err != nil {
		return nil, fmt.Errorf("start SCRAM: %w", err)
	}
	binds := strings.HasPrefix(first, "p=")
	switch {
	case chosen == mechanismPlus && binding.IsSupported():
		if !binds {
			return nil, fmt.Errorf("%w: %s without channel binding data", ErrProtocol, mechanismPlus)
		}
		return server.NewConversationWithChannelBindingRequired(binding), nil
	case chosen == mechanism:
		if binds {
			return nil, fmt.Errorf("%w: %s with channel binding data", ErrProtocol, mechanism)
		}
		return server.NewConversationWithChannelBinding(binding), nil
	default:
		return nil, fmt.Errorf("%w: mechanism was not offered", ErrProtocol)
	}
}

// refusal tells what a conversation ended with, by the error value of RFC 5802.
// The library's own errors repeat what the client sent, so they go no further.
func refusal(value string) error {
	switch value {
	case scram.ErrInvalidProof:
		return ErrRejected
	case scram.ErrServerDoesSupportChannelBinding, scram.ErrChannelBindingsDontMatch:
		return ErrChannelBinding
	case scram.ErrUnsupportedChannelBindingType:
		return fmt.Errorf("%w: channel binding type is not supported", ErrProtocol)
	default:
		return ErrProtocol
	}
}

// serverEndPoint hashes our certificate as RFC 5929 says for
// tls-server-end-point. Without TLS, or where the certificate's signature has
// no hash of its own (Ed25519), there is no binding to offer.
func serverEndPoint(der []byte) (scram.ChannelBinding, error) {
	if der == nil {
		return scram.ChannelBinding{}, nil
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return scram.ChannelBinding{}, fmt.Errorf("parse own certificate: %w", err)
	}
	var sum []byte
	switch cert.SignatureAlgorithm {
	case x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1,
		x509.SHA256WithRSA, x509.SHA256WithRSAPSS, x509.DSAWithSHA256, x509.ECDSAWithSHA256:
		h := sha256.Sum256(der)
		sum = h[:]
	case x509.SHA384WithRSA, x509.SHA384WithRSAPSS, x509.ECDSAWithSHA384:
		h := sha512.Sum384(der)
		sum = h[:]
	case x509.SHA512WithRSA, x509.SHA512WithRSAPSS, x509.ECDSAWithSHA512:
		h := sha512.Sum512(der)
		sum = h[:]
	default:
		return scram.ChannelBinding{}, nil
	}
	return scram.ChannelBinding{Type: scram.ChannelBindingTLSServerEndpoint, Data: sum}, nil
}
