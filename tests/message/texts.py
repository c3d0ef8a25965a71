"""Texts in many scripts, and strategies for more: all that may stand in a field."""

from hypothesis import strategies as st

from smtpx.wire.syntax import has_controls

SAMPLES = (
    "",
    "Tuesday's meeting",
    "Grüße aus München",
    "Déjeuner à midi ? – ¡Claro!",
    "Žluťoučký kůň úpěl ďábelské ódy",
    "Съешь же ещё этих мягких французских булок",
    "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία",
    "دعوة إلى اجتماع الفريق يوم الثلاثاء القادم",
    "הזמנה לפגישה של הצוות ביום שלישי הבא",
    "यूनिकोड क्या है? प्रत्येक अक्षर के लिए एक विशेष संख्या",
    "ขอเชิญเข้าร่วมประชุมวันอังคารหน้า",
    "တစ်ခုတည်းသောနံပါတ်",
    "来週の打ち合わせの日程と場所についてのご相談とお願い",
    "本月会议记录及下月工作计划的通知请各位同事查收",
    "다음 주 화요일 회의에 초대합니다",
    "🎂 Birthday 👩🏽‍🚀 party 👨‍👩‍👧‍👦 🏳️‍🌈 on Friday",
    "e\u0301 a\u0308 combining, o\u0302\u0323 twice",
    "\u202bright to left\u202c and \u2066back\u2069",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 beyond the first plane 𠜎𠜱",
    "=?utf-8?q?not?= encoded",
    "a =?b",
    " blanks around ",
    "two  blanks   and more",
    "a\ttab",
    "word " * 40,
    "x" * 100,
    "y" * 2000,
    "ä" * 700,
    "日本語" * 200,
    "a" + " " * 100 + "b",
    "a\u00a0no-break\u3000ideographic\u2003em",
    "MiXeD Größe =?x " * 20,
)


def texts(max_size: int = 300) -> st.SearchStrategy[str]:
    """Any text without control characters, often with what matters to encoders."""
    characters = st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"])
    likely = st.text(st.sampled_from('ab  \t=?_,;<>()"\\@.:äß日👩\u200d\u0301'), max_size=max_size)
    return (likely | st.text(characters, max_size=max_size)).filter(
        lambda text: not has_controls(text.replace("\t", " "))
    )
