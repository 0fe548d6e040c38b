# shellcheck shell=bash
# Sourced. Packages of another suite of the archive that this machine's own apt knows, with apt's state in a folder
# beside the system: nothing is installed, and no host is named. It must not know which packages are wanted.

# What apt is called with; use_suite changes it.
options=(-q -o APT::Sandbox::User=root)

archive_of() {
	local suite=$1 codename
	codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
	# shellcheck disable=SC2016
	apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' |
		awk -v release="$codename$([[ $suite != *-security ]] || echo -security)" '$1 == release { print $2; exit }'
}

# use_suite SUITE FOLDER: from now on apt means that suite; its state is kept in FOLDER.
use_suite() {
	local suite=$1 state=$2 archive
	archive=$(archive_of "$suite")
	[ -n "$archive" ] || { echo "$0: apt names no Debian archive to take $suite from" >&2; exit 1; }
	mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
	: >"$state/status"
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $archive $suite main" >"$state/sources"
	options+=(-o "Dir::State::Lists=$state/lists" -o "Dir::State::status=$state/status" -o "Dir::Cache=$state/cache"
		-o "Dir::Etc::SourceList=$state/sources" -o Dir::Etc::SourceParts=/dev/null)
}
