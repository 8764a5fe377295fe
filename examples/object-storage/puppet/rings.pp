# The ring builder: makes rings of the devices that the storage nodes have exported.
$muster = lookup('muster')
$nodes  = $muster['nodes'].filter |$node| { $node['role'] == 'object-storage' }

class { 'objects::rings':
  devices => $nodes.map |$index, $node| {
    $node['tasks']['storage-devices']['facts']['devices'].map |$device| {
      $device + { 'address' => $node['address'], 'zone' => $index + 1 }
    }
  }.flatten,
}
