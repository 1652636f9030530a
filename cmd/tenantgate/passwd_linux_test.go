package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"tenantgate/auth"
)

// terminal opens a pseudo-terminal: what is written to the keyboard is typed.
func terminal(t *testing.T) (keyboard, screen *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = keyboard.Close() })
	fd := int(keyboard.Fd())
	require.NoError(t, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	require.NoError(t, err)
	screen, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = screen.Close() })
	return keyboard, screen
}

// typePasswords runs passwd at a terminal, and types each line when the
// terminal no longer echoes.
func typePasswords(t *testing.T, lines ...string) (status int, stdout, stderr string) {
	t.Helper()
	keyboard, screen := terminal(t)
	var out, errs bytes.Buffer
	env := &environment{stdin: screen, stdout: &out, stderr: &errs, lookupEnv: noEnv}
	ended := make(chan int, 1)
	go func() { ended <- env.dispatch(t.Context(), []string{"passwd"}) }()
	for _, line := range lines {
		require.Eventually(t, func() bool { return !echoes(t, screen) }, 10*time.Second, time.Millisecond)
		_, err := keyboard.WriteString(line + "\n")
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			waiting, err := unix.IoctlGetInt(int(screen.Fd()), unix.TIOCINQ)
			return err == nil && waiting == 0
		}, 10*time.Second, time.Millisecond)
	}
	status = <-ended
	require.True(t, echoes(t, screen), "the terminal echoes again")
	return status, out.String(), errs.String()
}

func echoes(t *testing.T, screen *os.File) bool {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(screen.Fd()), unix.TCGETS)
	require.NoError(t, err)
	return state.Lflag&unix.ECHO != 0
}

func TestPasswordIsTypedTwiceWithoutEcho(t *testing.T) {
	status, stdout, stderr := typePasswords(t, "wonder", "wonder")
	require.Equal(t, exitOK, status)
	require.Equal(t, "Password: \nAgain: \n", stderr)
	verifier, err := auth.ParseVerifier(strings.TrimSpace(stdout))
	require.NoError(t, err)
	require.Equal(t, auth.DefaultIterations, verifier.Iterations)
}

func TestPasswordsThatDifferMakeNoVerifier(t *testing.T) {
	status, stdout, stderr := typePasswords(t, "wonder", "wander")
	require.Equal(t, exitFailure, status)
	require.Empty(t, stdout)
	require.Contains(t, stderr, "the passwords differ")
}

func TestTerminalIsRecognized(t *testing.T) {
	_, screen := terminal(t)
	require.True(t, term.IsTerminal(int(screen.Fd())))
}
