package proxy

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMachineFollowsAnOrdinaryGroup(t *testing.T) {
	m := machine{status: 'I'}
	for _, a := range []await{awaitParse, awaitBind, awaitDescribePortal, awaitExecute, awaitSync} {
		m.push(request{await: a})
	}
	for _, typ := range []byte("12TDDC") {
		done, err := m.fromServer(typ)
		require.NoError(t, err)
		if done {
			m.pop()
		}
	}
	require.False(t, m.released())
	done, err := m.fromServer('Z')
	require.NoError(t, err)
	require.True(t, done)
	m.pop()
	require.True(t, m.released())
}

func TestMachineLosesAllUpToSyncAfterAnError(t *testing.T) {
	m := machine{status: 'I'}
	for _, a := range []await{awaitParse, awaitBind, awaitExecute, awaitSync, awaitQuery} {
		m.push(request{await: a})
	}
	failed, lost, err := m.failed()
	require.NoError(t, err)
	require.Equal(t, awaitParse, failed.await)
	require.Len(t, lost, 2)
	require.Equal(t, awaitSync, m.head().await)
	require.False(t, m.skipping)
}

func TestMachineSkipsUntilSyncWhenNoneIsSentYet(t *testing.T) {
	m := machine{status: 'T'}
	m.push(request{await: awaitBind})
	m.push(request{await: awaitExecute})
	_, lost, err := m.failed()
	require.NoError(t, err)
	require.Len(t, lost, 1)
	require.True(t, m.skipping)
	require.True(t, m.idle())
}

func TestMachineRefusesWhatHasNoPlace(t *testing.T) {
	for _, c := range []struct {
		await await
		typ   byte
	}{
		{awaitSync, 'C'},
		{awaitParse, '2'},
		{awaitBind, 'D'},
		{awaitClose, 'Z'},
		{awaitDescribe, 'T'},
		{awaitDescribePortal, 't'},
		{awaitTenant, 'T'},
		{awaitExecute, 'Z'},
		{awaitExecute, 'G'},
		{awaitQuery, 'G'},
		{awaitQuery, '1'},
		{awaitRefusal, 'C'},
		{awaitNothing, '1'},
		{await(99), 'Z'},
	} {
		m := machine{status: 'I'}
		m.push(request{await: c.await})
		_, err := m.fromServer(c.typ)
		require.ErrorIs(t, err, errServerProtocol, "%d %q", c.await, c.typ)
	}
	m := machine{status: 'I'}
	_, err := m.fromServer('D')
	require.ErrorIs(t, err, errServerProtocol)
	_, _, err = m.failed()
	require.ErrorIs(t, err, errServerProtocol)
}

// FuzzMachine feeds any order of server messages to any order of requests: it
// must never panic, and never release a connection that is not idle.
func FuzzMachine(f *testing.F) {
	f.Add([]byte{2, 3, 6, 1}, []byte("12DCZ"))
	f.Add([]byte{0}, []byte("TDCEZ"))
	f.Add([]byte{3, 8, 0, 1}, []byte("2DCTDCZEZ"))
	f.Fuzz(func(t *testing.T, requests, messages []byte) {
		m := machine{status: 'I'}
		for _, a := range requests {
			r := request{await: await(a % 12)}
			if r.await == awaitNothing {
				r.reply, r.fake = replyFake, []byte{a}
			}
			m.push(r)
		}
		for _, typ := range messages {
			m.fakes(nil)
			before := len(m.outstanding)
			if typ == 'E' {
				if _, _, err := m.failed(); err != nil {
					return
				}
			} else {
				done, err := m.fromServer(typ)
				if err != nil {
					return
				}
				if done {
					m.pop()
				}
			}
			require.LessOrEqual(t, len(m.outstanding), before)
			if m.released() {
				require.Empty(t, m.outstanding)
				require.False(t, m.copying)
			}
		}
	})
}

func TestMachineEndsAMessageOfSeveralPiecesAtTheFirstError(t *testing.T) {
	m := machine{status: 'I'}
	m.push(request{await: awaitParse, reply: replySkip})
	m.push(request{await: awaitExecute})
	m.push(request{await: awaitSync, cut: true})
	failed, lost, err := m.failed()
	require.NoError(t, err)
	require.Equal(t, awaitParse, failed.await)
	require.Len(t, lost, 1)
	require.True(t, m.erred)
	require.False(t, m.skipping)
}
