"""What is said of the volumes that an image brings."""

from vmdirac.config.ec2 import Ec2CloudConfig
from vmdirac.hooks.ec2_disks import disks_of


def test_all_volumes_of_an_image_go_with_the_vm_and_only_the_root_is_sized() -> None:
    image = {
        "RootDeviceName": "/dev/xvda",
        "BlockDeviceMappings": [
            {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 8, "DeleteOnTermination": True}},
            {"DeviceName": "/dev/sdb", "Ebs": {"VolumeSize": 100, "DeleteOnTermination": False}},
            {"DeviceName": "/dev/sdc", "VirtualName": "ephemeral0"},
            {"DeviceName": "/dev/sdd", "NoDevice": ""},
        ],
    }
    assert disks_of(image, Ec2CloudConfig(ebs_size=50, ebs_type="gp3")) == [
        {"DeviceName": "/dev/xvda", "Ebs": {"DeleteOnTermination": True, "VolumeSize": 50, "VolumeType": "gp3"}},
        {"DeviceName": "/dev/sdb", "Ebs": {"DeleteOnTermination": True}},
    ]
    kept = disks_of(image, Ec2CloudConfig(ebs_delete_on_termination=False))
    assert {disk["Ebs"]["DeleteOnTermination"] for disk in kept} == {False}
    assert disks_of({}, Ec2CloudConfig()) == []
