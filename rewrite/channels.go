package rewrite

// LISTEN, UNLISTEN and NOTIFY name a channel and nothing else that matters. The
// session writes them: it knows what the server calls the channel.

// Listen is LISTEN on a channel, by the server's name.
func Listen(channel string) Template {
	return fixedTemplate("LISTEN " + quoteAlways(channel))
}

// Unlisten is UNLISTEN, of all channels if the name is empty.
func Unlisten(channel string) Template {
	if channel == "" {
		return fixedTemplate("UNLISTEN *")
	}
	return fixedTemplate("UNLISTEN " + quoteAlways(channel))
}

// Notify is NOTIFY with a payload.
func Notify(channel, payload string) Template {
	return fixedTemplate("NOTIFY " + quoteAlways(channel) + ", " + quoteLiteral(payload))
}

// Channels are names as the value of ValueChannels.
func Channels(names []string) string {
	array := []byte{'{'}
	for i, name := range names {
		if i > 0 {
			array = append(array, ',')
		}
		array = append(array, '"')
		for j := range len(name) {
			if name[j] == '"' || name[j] == '\\' {
				array = append(array, '\\')
			}
			array = append(array, name[j])
		}
		array = append(array, '"')
	}
	return string(append(array, '}'))
}
