package main

import (
	"context"
	"flag"

	"livebox-agent/testbench/samples"
)

const longSamples = `Reads every file of DIR whose name ends in .json as a reply of a box, by the
decoders that the agent uses, and says what each gives. The files are named
for what was asked:

  sysbus-BOX-Object.method[-variant].json   a Livebox, such as lb5 or w7
  openwrt-Object.method[-variant].json      the bus of OpenWrt or prplOS
  sysbus-error-NAME.json, shape-NAME.json   an error; no capture

The reply may be wrapped in {"result": ...}. The exit status is 1 if a file is
no reply, or if one that has a decoder holds values and gives no metric.`

func cmdSamples(_ context.Context, e env, fs *flag.FlagSet, args []string) error {
	values := fs.Bool("readings", false, "show every reading too")
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	if fs.NArg() == 0 {
		return usage(fs, "no folder given")
	}
	files, err := samples.Folder(fs.Arg(0))
	if err != nil {
		return err
	}
	return samples.Print(e.stdout, files, *values)
}

const longPlatforms = `Prints for every metric of the catalogue which decoder or source gives it on
which platform, as the code says.`

func cmdPlatforms(_ context.Context, e env, fs *flag.FlagSet, args []string) error {
	markdown := fs.Bool("markdown", false, "write collector/PLATFORMS.md instead")
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	rows, err := samples.Platforms()
	if err != nil {
		return err
	}
	if *markdown {
		return samples.WritePlatformsMarkdown(e.stdout, rows)
	}
	return samples.WritePlatforms(e.stdout, rows)
}
