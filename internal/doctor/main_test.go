package doctor

import (
	"testing"

	"tenantgate/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }
