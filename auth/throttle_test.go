package auth

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

var elsewhere = netip.MustParseAddr("198.51.100.7")

// waited is how long an attempt is held back.
func waited(t *testing.T, a attempt) time.Duration {
	t.Helper()
	start := time.Now()
	require.NoError(t, a.wait(t.Context()))
	return time.Since(start)
}

func TestFailuresAreSlowedExponentially(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle(Throttle{})
		var got []time.Duration
		for range 9 {
			a := th.attempt("u", address)
			got = append(got, waited(t, a))
			a.failed()
		}
		ms := time.Millisecond
		require.Equal(t, []time.Duration{0, 100 * ms, 200 * ms, 400 * ms, 800 * ms, 1600 * ms, 3200 * ms, 5000 * ms, 5000 * ms}, got)
	})
}

func TestSuccessEndsTheDelayOfItsPairOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle(Throttle{})
		for range 5 {
			th.attempt("u", address).failed()
		}
		th.attempt("u", address).succeeded()
		require.Zero(t, waited(t, th.attempt("u", address)))
		require.Equal(t, 1600*time.Millisecond, waited(t, th.attempt("another", address)))
	})
}

func TestFailuresAndDelaysAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, err := New(Config{Throttle: Throttle{MaxDelay: 100 * time.Millisecond}})
		require.NoError(t, err)
		require.Zero(t, a.Stat())
		attempt := a.throttle.attempt("u", address)
		for range 3 {
			_ = waited(t, attempt)
			attempt.failed()
		}
		require.Equal(t, Stat{Failures: 3, Delayed: 2, Delay: 200 * time.Millisecond}, a.Stat())
		renewed, err := a.Renew(Config{})
		require.NoError(t, err)
		for range 4 {
			_, err = a.throttle.delay(attempt.pair, time.Now())
		}
		require.ErrorIs(t, err, ErrThrottled)
		require.Positive(t, renewed.Stat().Throttled)
		require.Equal(t, a.Stat(), renewed.Stat())
	})
}

func TestFailuresAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle(Throttle{Forget: time.Minute})
		for range 7 {
			th.attempt("u", address).failed()
		}
		time.Sleep(time.Minute + time.Second)
		require.Zero(t, waited(t, th.attempt("u", address)))
		th.attempt("u", address).failed()
		require.Equal(t, 100*time.Millisecond, waited(t, th.attempt("u", address)))
	})
}

func TestLoginIsNotLockedOutFromAnotherAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle(Throttle{})
		th.attempt("u", elsewhere).succeeded()
		for i := range 1000 {
			th.attempt("u", netip.AddrFrom4([4]byte{10, 0, byte(i / 256), byte(i)})).failed()
		}
		require.Zero(t, waited(t, th.attempt("u", elsewhere)), "an address the login succeeded from")
		fresh := netip.MustParseAddr("203.0.113.9")
		require.LessOrEqual(t, waited(t, th.attempt("u", fresh)), 5*time.Second, "an address it was never seen at")
	})
}

func TestOthersBehindTheSameAddressAreDelayedAtMostOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle(Throttle{})
		for range 100 {
			th.attempt("broken", address).failed()
		}
		a := th.attempt("app", address)
		require.Equal(t, 5*time.Second, waited(t, a))
		a.succeeded()
		require.Zero(t, waited(t, th.attempt("app", address)))
	})
}

func TestParallelAttemptsOfOnePairTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle(Throttle{FirstDelay: time.Second, MaxDelay: time.Second})
		th.attempt("u", address).failed()
		start := time.Now()
		var mu sync.Mutex
		var looked []time.Duration
		var refused int
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				err := th.attempt("u", address).wait(t.Context())
				mu.Lock()
				defer mu.Unlock()
				if errors.Is(err, ErrThrottled) {
					refused++
					return
				}
				looked = append(looked, time.Since(start))
			})
		}
		all.Wait()
		require.Equal(t, []time.Duration{time.Second, 2 * time.Second}, looked)
		require.Equal(t, 8, refused)
	})
}

func TestWaitEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle(Throttle{})
		for range 7 {
			th.attempt("u", address).failed()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		require.ErrorIs(t, th.attempt("u", address).wait(ctx), context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(start))
	})
}

func TestAddressOfIPv6IsItsNetwork(t *testing.T) {
	at := func(s string) netip.Prefix { return network(netip.MustParseAddr(s)) }
	require.Equal(t, at("2001:db8:1:2::1"), at("2001:db8:1:2:ffff::9"))
	require.NotEqual(t, at("2001:db8:1:2::1"), at("2001:db8:1:3::1"))
	require.Equal(t, at("192.0.2.1"), at("::ffff:192.0.2.1"))
	require.Equal(t, at("fe80::1%eth0"), at("fe80::1%eth1"))
	require.NotEqual(t, at("192.0.2.1"), at("192.0.2.2"))
	require.Equal(t, netip.Prefix{}, network(netip.Addr{}))
}

func TestThrottleRemembersABoundedNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle(Throttle{Entries: 50})
		for i := range 1000 {
			a := th.attempt(fmt.Sprint("user", i), netip.AddrFrom4([4]byte{10, 0, byte(i / 256), byte(i)}))
			a.failed()
			a.succeeded()
			a.failed()
		}
		require.Equal(t, 50, th.addrs.Len())
		require.Equal(t, 50, th.logins.Len())
		require.Equal(t, 50, th.pairs.Len())
		require.LessOrEqual(t, th.good.Len(), 50)
	})
}

func TestWrongPasswordsAreSlowedAndMalformedMessagesAreNotCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthenticator(t, Config{Logins: []Login{{User: "u", Password: "x", Operator: true}}})
		try := func(c *client) (time.Duration, error) {
			start := time.Now()
			_, err := a.Authenticate(t.Context(), "u", Peer{Addr: address}, c)
			return time.Since(start), err
		}
		for range 3 {
			_, err := try(&client{password: "x", final: func(string) string { return "" }})
			require.ErrorIs(t, err, ErrProtocol)
		}
		for _, want := range []time.Duration{0, 100 * time.Millisecond, 200 * time.Millisecond} {
			took, err := try(&client{password: "wrong"})
			require.ErrorIs(t, err, ErrRejected)
			require.Equal(t, want, took)
		}
		took, err := try(&client{password: "x"})
		require.NoError(t, err)
		require.Equal(t, 400*time.Millisecond, took)
		took, err = try(&client{password: "x"})
		require.NoError(t, err)
		require.Zero(t, took)
	})
}

func TestUnknownLoginIsDelayedAsAKnownOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		delays := func(user string) (took []time.Duration) {
			a := newAuthenticator(t, Config{Logins: []Login{{User: "u", Password: "x", Operator: true}, {User: "by_certificate", Operator: true}}})
			for i := range 12 {
				from := address
				if i%4 == 3 {
					from = elsewhere
				}
				start := time.Now()
				_, err := a.Authenticate(t.Context(), user, Peer{Addr: from}, &client{password: "wrong"})
				require.ErrorIs(t, err, ErrRejected)
				took = append(took, time.Since(start))
			}
			require.Equal(t, int64(12), a.Stat().Failures)
			return took
		}
		known := delays("u")
		require.Equal(t, 5*time.Second, known[11])
		require.Equal(t, known, delays("nobody"))
		require.Equal(t, known, delays("by_certificate"))
	})
}
